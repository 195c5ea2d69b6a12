import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  BERLIN,
  type Carrier,
  CUSTOMER,
  CUSTOMS,
  type Json,
  parcelTo,
  startCarrier,
} from './support.ts'

describe('stateless rates', () => {
  let carrier: Carrier

  before(async () => {
    carrier = await startCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())

  it('tell prices without ids and store nothing', async () => {
    const quoted = await carrier.post(
      '/beta/rates',
      parcelTo(CUSTOMER, { parcel: { weight: 15.4 } }),
    )

    assert.equal(quoted.status, 200)
    assert.deepEqual(
      quoted.body.rates.map((rate: Json) => [rate.service, rate.rate, rate.id]),
      [
        ['Ground', '6.22', undefined],
        ['Priority', '9.74', undefined],
        ['Express', '31.69', undefined],
      ],
    )
    assert.equal((await carrier.get('/standin/book')).body.totals.shipments, 0)
  })

  it('ask the same price as a stored shipment', async () => {
    const request = parcelTo(BERLIN, { customs_info: CUSTOMS })

    const quoted = await carrier.post('/beta/rates', request)
    const shipment = await carrier.create(request)

    const prices = (rates: Json[]) => rates.map((rate) => [rate.service, rate.rate])
    assert.deepEqual(prices(quoted.body.rates), prices(shipment.rates))
  })

  it('rise with weight for every service', async () => {
    const prices = async (weight: number) => {
      const { body } = await carrier.post('/beta/rates', parcelTo(CUSTOMER, { parcel: { weight } }))
      return body.rates.map((rate: Json) => Number(rate.rate))
    }

    const [light, heavy] = [await prices(10), await prices(300)]
    for (const index of [0, 1, 2]) assert.ok(heavy[index] > light[index])
  })
})

describe('address verification', () => {
  let carrier: Carrier

  before(async () => {
    carrier = await startCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())

  const verify = (address: object) => carrier.post('/v2/addresses', { address, verify: true })

  it('accepts a complete US address and writes it in capitals', async () => {
    const { status, body } = await verify(CUSTOMER)

    assert.equal(status, 201)
    assert.match(body.id, /^adr_standin_/)
    assert.equal(body.verifications.delivery.success, true)
    assert.deepEqual(body.verifications.delivery.errors, [])
    assert.equal(body.street1, '742 EVERGREEN TERRACE')
  })

  it('says what a US address lacks', async () => {
    const lacks = { street1: 'street1', city: 'city', zip: 'zip' }
    for (const [name, field] of Object.entries(lacks)) {
      const { status, body } = await verify({ ...CUSTOMER, [name]: '' })

      assert.equal(status, 201)
      assert.equal(body.verifications.delivery.success, false)
      assert.deepEqual(
        body.verifications.delivery.errors.map((error: Json) => error.field),
        ['address', field],
      )
    }
  })

  it('knows countries by their two letters only', async () => {
    for (const country of ['DE', 'jp', 'US']) {
      const { body } = await verify({ ...CUSTOMER, country })
      assert.equal(body.verifications.delivery.success, true, country)
    }
    for (const country of ['Germany', 'USA', 'QX', 'UK', '12']) {
      const { body } = await verify({ ...CUSTOMER, country })
      assert.equal(body.verifications.delivery.success, false, country)
      assert.equal(body.verifications.delivery.errors[0].field, 'country')
    }
  })

  it('does not verify unless asked', async () => {
    const { body } = await carrier.post('/v2/addresses', { address: { street1: 'nowhere' } })

    assert.deepEqual(body.verifications, {})
    assert.equal(body.country, 'US')
  })

  it('refuses a bad address where verification is strict', async () => {
    const address = { ...CUSTOMER, zip: null }
    const answers = [
      await carrier.post('/v2/addresses', { address, verify_strict: true }),
      await carrier.post('/v2/addresses/create_and_verify', { address }),
    ]

    for (const { status, body } of answers) {
      assert.equal(status, 422)
      assert.equal(body.error.code, 'ADDRESS.VERIFY.FAILURE')
      assert.deepEqual(body.error.errors[1], {
        code: 'E.ZIP.INVALID',
        field: 'zip',
        message: 'Zip is missing',
        suggestion: null,
      })
    }
    const good = await carrier.post('/v2/addresses/create_and_verify', { address: BERLIN })
    assert.equal(good.body.address.verifications.delivery.success, true)
  })
})
