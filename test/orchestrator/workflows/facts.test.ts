import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  checksOf,
  dayOf,
  factsOf,
  proposalsOf,
  reviewFindings,
  sameAddress,
  shortageOf,
  stockFactsOf,
} from '../../../orchestrator/workflows/facts.ts'
import {
  availability,
  finding,
  openedOrder,
  shipment,
  shipTo,
  stockLine,
  validation,
} from '../support/answers.ts'

const orderId = randomUUID()

describe('the facts that an agent reads', () => {
  it('are the order without what identifies or locates the customer', () => {
    const opened = openedOrder(orderId, {
      note: 'Ring twice',
      shipBy: '2026-12-24',
      findings: [finding('over_limit', 'held')],
    })

    const facts = factsOf(opened, '2026-12-21')

    assert.deepEqual(facts, {
      orderId,
      round: 1,
      today: '2026-12-21',
      lines: [
        {
          sku: 'mug',
          name: 'Mug',
          quantity: 2,
          unitPriceCents: 1_200,
          lineTotalCents: 2_400,
          weightGrams: 350,
        },
      ],
      totalCents: 2_400,
      currency: 'USD',
      customer: { customerId: 'cus_ada', status: 'active', country: 'US' },
      shipTo: { city: 'Springfield', region: 'IL', postalCode: '62701', country: 'US' },
      shipBy: '2026-12-24',
      note: 'Ring twice',
      findings: [{ code: 'over_limit', outcome: 'held', message: 'found over_limit' }],
    })
    for (const secret of [shipTo.name, shipTo.street1]) {
      assert.ok(!JSON.stringify(facts).includes(secret))
    }
  })

  it('exist also for an order without customer and address', () => {
    const opened = openedOrder(orderId, { customerId: null, customerStatus: null, shipTo: null })

    assert.doesNotThrow(() => JSON.stringify(factsOf(opened, '2026-12-21')))
  })

  it('name the day on which the order was accepted, wherever the process runs', () => {
    assert.equal(dayOf(Date.UTC(2026, 11, 24, 0, 0, 0)), '2026-12-24')
    assert.equal(dayOf(Date.UTC(2026, 11, 24, 23, 59, 59)), '2026-12-24')
  })

  it('tell an agent that the plan skipped from a proposal that is missing', () => {
    const none = { validation: null, availability: null, shipment: null }

    assert.deepEqual(proposalsOf(none, ['validate_order', 'check_inventory']), {
      validate_order: { by: 'skipped', verdict: null },
      check_inventory: { by: 'skipped', verdict: null },
      propose_shipment: null,
    })
  })

  it('say null for a shipment that nobody proposed', () => {
    const proposals = {
      validation: validation(),
      availability: availability(),
      shipment: shipment({ verdict: 'review', proposal: null }),
    }

    assert.partialDeepStrictEqual(proposalsOf(proposals, []), {
      validate_order: { by: 'agent', verdict: 'accept', risk: 'low' },
      check_inventory: { by: 'agent', verdict: 'available' },
      propose_shipment: { verdict: 'review', carrier: null, service: null, priceCents: null },
    })
  })
})

describe('stock against an order', () => {
  const two = openedOrder(orderId, {
    lines: openedOrder(orderId).lines.flatMap((line) => [line, { ...line, sku: 'cup' }]),
  })

  it('is short of what it covers in part, and of what nobody stocks', () => {
    assert.deepEqual(stockFactsOf(two, [{ sku: 'mug', available: 1 }]), {
      lines: [
        { sku: 'mug', quantity: 2, available: 1 },
        { sku: 'cup', quantity: 2, available: 0 },
      ],
      short: ['mug', 'cup'],
    })
  })

  it('is not short of what it covers exactly', () => {
    const stock = [
      { sku: 'cup', available: 2 },
      { sku: 'mug', available: 2 },
      { sku: 'other', available: 0 },
    ]

    assert.deepEqual(stockFactsOf(two, stock).short, [])
  })
})

describe('the checks before postage is spent', () => {
  const opened = openedOrder(orderId)
  const reserved = [{ sku: 'mug', quantity: 2 }]

  it('hold for what was ordered, stored and allowed', () => {
    assert.deepEqual(checksOf(opened, reserved, shipTo, 2_400), {
      reservedEqualsOrdered: true,
      addressEqualsStored: true,
      totalWithinLimit: true,
    })
  })

  it('fail each for its own reason', () => {
    const check = (name: keyof ReturnType<typeof checksOf>, ...args: Parameters<typeof checksOf>) =>
      assert.equal(checksOf(...args)[name], false)

    check('reservedEqualsOrdered', opened, [{ sku: 'mug', quantity: 1 }], shipTo, 2_400)
    check('addressEqualsStored', opened, reserved, { ...shipTo, street1: '2 Main Street' }, 2_400)
    check('addressEqualsStored', { ...opened, shipTo: null }, reserved, shipTo, 2_400)
    check('totalWithinLimit', opened, reserved, shipTo, 2_399)
  })

  it('compare an address field by field', () => {
    assert.ok(sameAddress(shipTo, { ...shipTo }))
    for (const field of Object.keys(shipTo)) {
      assert.ok(!sameAddress(shipTo, { ...shipTo, [field]: 'other' }), field)
    }
    assert.ok(!sameAddress(shipTo, { ...shipTo, street2: 'Flat 2' }))
  })
})

describe('the doubts of agents', () => {
  it('are none where every agent agrees or nobody was asked', () => {
    assert.deepEqual(
      reviewFindings.of({
        validation: validation(),
        availability: availability(),
        shipment: shipment(),
      }),
      [],
    )
    assert.deepEqual(
      reviewFindings.of({ validation: null, availability: null, shipment: null }),
      [],
    )
  })

  it('are one finding for each agent that has any, in its own words', () => {
    const findings = reviewFindings.of({
      validation: validation({ verdict: 'review', reasons: ['too much', 'at night'] }),
      availability: availability({ verdict: 'review', reasons: [] }),
      shipment: shipment({ verdict: 'review', reasons: ['no street'] }),
    })

    for (const { code, outcome } of findings) {
      assert.deepEqual({ code, outcome }, { code: 'agent_review', outcome: 'held' })
    }
    const [first, second, third] = findings.map(({ message }) => message)
    assert.match(first ?? '', /validation.*too much at night/)
    assert.match(second ?? '', /inventory.*no reason/)
    assert.match(third ?? '', /fulfillment.*no street/)
  })
})

describe('a shortage', () => {
  const enough = stockFactsOf(openedOrder(orderId), [{ sku: 'mug', available: 2 }])
  const short = stockFactsOf(openedOrder(orderId), [])

  it('is found by SQL, by the inventory service, or by both, once', () => {
    const checked = availability({ lines: [stockLine({ available: 1, short: 1 })] })

    assert.deepEqual(reviewFindings.shortage(null, short), [shortageOf(['mug'])])
    assert.deepEqual(reviewFindings.shortage(checked, enough), [shortageOf(['mug'])])
    assert.deepEqual(reviewFindings.shortage(checked, short), [shortageOf(['mug'])])
    assert.deepEqual(reviewFindings.shortage(availability(), enough), [])
  })

  it('is a backorder that names the skus', () => {
    const { code, outcome, message } = shortageOf(['cup', 'mug'])

    assert.deepEqual({ code, outcome }, { code: 'out_of_stock', outcome: 'backordered' })
    assert.match(message, /cup, mug/)
  })
})
