import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  findingsBeforeQuote,
  findingsOfCarrier,
  isInternational,
  parcelWeightGrams,
} from '../../../services/fulfillment/shipment-rules.ts'
import { abroad, home, line, offer, request } from './parcels.ts'

const limitGrams = 30_000
const codes = (findings: readonly { code: string; outcome: string }[]) =>
  findings.map(({ code, outcome }) => `${code} ${outcome}`)

describe('the weight of a parcel', () => {
  it('is that of all lines and the box', () => {
    const lines = [line(5), line(2, { sku: 'DEF456', weightGrams: 1_200 })]

    assert.equal(parcelWeightGrams(lines, 0), 4_150)
    assert.equal(parcelWeightGrams(lines, 250), 4_400)
  })

  it('may reach the limit and not exceed it', () => {
    assert.deepEqual(findingsBeforeQuote(request(), 30_000, limitGrams), [])
    assert.deepEqual(codes(findingsBeforeQuote(request(), 30_001, limitGrams)), ['too_heavy held'])
  })
})

describe('a parcel abroad', () => {
  it('is every parcel that leaves the US', () => {
    assert.equal(isInternational(home), false)
    assert.equal(isInternational(abroad), true)
    assert.equal(isInternational({ country: 'CA' }), true)
  })

  it('is held when one commodity is worth more than our declaration may claim', () => {
    const findings = (cents: number, country: string, hsCode = '6912.00') =>
      codes(
        findingsBeforeQuote(
          request({
            lines: [
              line(1, { lineTotalCents: 125_000 }),
              line(1, { lineTotalCents: cents, hsCode }),
            ],
            shipTo: { ...abroad, country },
          }),
          700,
          limitGrams,
        ),
      )

    assert.deepEqual(findings(125_000, 'DE'), [])
    assert.deepEqual(findings(125_001, 'DE'), ['no_service held'])
    assert.deepEqual(findings(125_001, 'DE', '4419.20'), [])
    assert.deepEqual(findings(250_001, 'DE', '4419.20'), ['no_service held'])
    assert.deepEqual(findings(250_001, 'CA'), [])
    assert.deepEqual(findings(250_001, 'US'), [])
  })
})

describe('what the carrier says', () => {
  const good = { deliverable: true, problems: [] }

  it('stops nothing when there is an address and an offer', () => {
    assert.deepEqual(findingsOfCarrier(good, [offer('Ground', 500)], []), [])
    const doubtful = { deliverable: true, problems: ['Apartment missing'] }
    assert.deepEqual(findingsOfCarrier(doubtful, [offer('Ground', 500)], []), [])
  })

  it('holds a parcel to an address that it does not find', () => {
    const bad = { deliverable: false, problems: ['Address not found'] }
    const findings = findingsOfCarrier(bad, [offer('Ground', 500)], [])

    assert.deepEqual(codes(findings), ['address_refused held'])
    assert.match(findings[0]?.message ?? '', /Address not found/)
  })

  it('holds a parcel that nobody takes, with the reason', () => {
    const findings = findingsOfCarrier(good, [], ['StandInPost: too heavy'])

    assert.deepEqual(codes(findings), ['no_service held'])
    assert.match(findings[0]?.message ?? '', /too heavy/)
  })
})
