import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  BERLIN,
  basic,
  type Carrier,
  CUSTOMER,
  CUSTOMS,
  type Json,
  parcelTo,
  startCarrier,
  WAREHOUSE,
} from './support.ts'

describe('the life of a shipment', () => {
  let carrier: Carrier
  let nowMs = Date.parse('2026-11-20T12:00:00.500Z')

  before(async () => {
    carrier = await startCarrier({
      now: () => nowMs,
      refundDelayMs: 1_000,
      publicUrl: 'https://labels.test',
    })
  })
  after(() => carrier[Symbol.asyncDispose]())

  it('goes from rates to postage to a label, as at EasyPost', async () => {
    const created = await carrier.post('/v2/shipments', parcelTo())

    assert.equal(created.status, 201)
    assert.match(created.body.id, /^shp_standin_[0-9a-f]{32}$/)
    assert.equal(created.body.object, 'Shipment')
    assert.equal(created.body.mode, 'test')
    assert.equal(created.body.created_at, '2026-11-20T12:00:00Z')
    assert.equal(created.body.tracking_code, null)
    assert.equal(created.body.postage_label, null)
    assert.equal(created.body.selected_rate, null)
    assert.equal(created.body.refund_status, null)
    assert.equal(created.body.parcel.weight, 38.4)
    assert.deepEqual(
      created.body.rates.map((rate: Json) => [
        rate.carrier,
        rate.service,
        rate.rate,
        rate.currency,
        rate.delivery_days,
        rate.delivery_date,
      ]),
      [
        ['StandInPost', 'Ground', '8.29', 'USD', 5, '2026-11-25T20:00:00Z'],
        ['StandInPost', 'Priority', '13.42', 'USD', 2, '2026-11-22T20:00:00Z'],
        ['StandInPost', 'Express', '39.51', 'USD', 1, '2026-11-21T20:00:00Z'],
      ],
    )

    const bought = await carrier.buy(created.body, created.body.rates[1])

    assert.equal(bought.status, 200)
    assert.equal(bought.body.id, created.body.id)
    assert.equal(bought.body.status, 'pre_transit')
    assert.equal(bought.body.selected_rate.id, created.body.rates[1].id)
    assert.equal(bought.body.selected_rate.rate, '13.42')
    assert.match(bought.body.tracking_code, /^SAMPLE\d{16}$/)
    assert.equal(bought.body.postage_label.label_size, '4x6')
    assert.equal(bought.body.postage_label.label_file_type, 'application/pdf')
    assert.match(
      bought.body.postage_label.label_url,
      /^https:\/\/labels\.test\/labels\/pl_standin_[0-9a-f]{32}\.pdf$/,
    )
    assert.equal(bought.body.fees[1].amount, '13.42000')

    const read = await carrier.get(`/v2/shipments/${created.body.id}`)
    assert.equal(read.status, 200)
    assert.deepEqual(read.body, bought.body)
  })

  it('sells postage once', async () => {
    const shipment = await carrier.create()
    const first = await carrier.buy(shipment)

    const again = await carrier.buy(shipment, shipment.rates[2])

    assert.equal(again.status, 422)
    assert.deepEqual(again.body, {
      error: {
        code: 'SHIPMENT.POSTAGE.EXISTS',
        message: 'Postage already exists for this shipment.',
        errors: [],
      },
    })
    assert.deepEqual((await carrier.get(`/v2/shipments/${shipment.id}`)).body, first.body)
  })

  it('sells postage once to twenty who ask at the same time', async () => {
    const shipment = await carrier.create()

    const answers = await Promise.all(Array.from({ length: 20 }, () => carrier.buy(shipment)))

    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(
      answers.filter(({ body }) => body.error?.code === 'SHIPMENT.POSTAGE.EXISTS').length,
      19,
    )
  })

  it('does not take a reference for an identity', async () => {
    const request = parcelTo(CUSTOMER, { reference: 'order-7:1' })
    const [one, two] = [await carrier.create(request), await carrier.create(request)]
    await carrier.buy(one)
    await carrier.buy(two)

    assert.notEqual(one.id, two.id)
    const book = await carrier.get('/standin/book?reference=order-7:1')
    assert.deepEqual(book.body.references, [
      {
        reference: 'order-7:1',
        shipments: 2,
        bought: 2,
        refundSubmitted: 0,
        refunded: 0,
        live: 2,
      },
    ])
  })

  it('refunds later what is asked for now, and repeating changes nothing', async () => {
    const shipment = await carrier.create()
    await carrier.buy(shipment)
    const refund = () => carrier.post(`/v2/shipments/${shipment.id}/refund`)

    const asked = await refund()
    assert.equal(asked.status, 200)
    assert.equal(asked.body.refund_status, 'submitted')
    nowMs += 999
    assert.equal((await refund()).body.refund_status, 'submitted')

    nowMs += 1
    const granted = (await carrier.get(`/v2/shipments/${shipment.id}`)).body
    assert.equal(granted.refund_status, 'refunded')
    assert.equal(granted.status, 'cancelled')
    assert.equal(granted.fees[1].refunded, true)
    assert.equal((await carrier.buy(shipment)).body.error.code, 'SHIPMENT.POSTAGE.EXISTS')
  })

  it('takes an empty JSON body for a refund, which client libraries send', async () => {
    const shipment = await carrier.create()
    await carrier.buy(shipment)

    const asked = await carrier.post(`/v2/shipments/${shipment.id}/refund`, '')

    assert.equal(asked.body.refund_status, 'submitted')
  })

  it('grants a refund at once when a test says so', async () => {
    const shipment = await carrier.create()
    await carrier.buy(shipment)
    await carrier.post(`/v2/shipments/${shipment.id}/refund`)

    const settled = await carrier.post('/standin/refunds', { shipment_id: shipment.id })

    assert.deepEqual(settled.body, { settled: 1 })
    const read = await carrier.get(`/v2/shipments/${shipment.id}`)
    assert.equal(read.body.refund_status, 'refunded')
    const again = await carrier.post('/standin/refunds', { shipment_id: shipment.id })
    assert.deepEqual(again.body, { settled: 0 })
  })

  it('refuses to refund what was not bought', async () => {
    const shipment = await carrier.create()

    const asked = await carrier.post(`/v2/shipments/${shipment.id}/refund`)

    assert.equal(asked.status, 422)
    assert.equal(asked.body.error.code, 'SHIPMENT.REFUND.UNAVAILABLE')
    assert.equal((await carrier.get(`/v2/shipments/${shipment.id}`)).body.refund_status, null)
  })

  it('tracks what was bought, by one tracker', async () => {
    const shipment = await carrier.create()
    const { body: bought } = await carrier.buy(shipment)

    const request = { tracker: { tracking_code: bought.tracking_code, carrier: 'StandInPost' } }
    const created = await carrier.post('/v2/trackers', request)

    assert.equal(created.status, 201)
    assert.match(created.body.id, /^trk_standin_/)
    assert.equal(created.body.id, bought.tracker.id)
    assert.equal(created.body.status, 'pre_transit')
    assert.equal(created.body.shipment_id, shipment.id)
    assert.deepEqual((await carrier.get(`/v2/trackers/${created.body.id}`)).body, created.body)
    const foreign = await carrier.post('/v2/trackers', { tracker: { tracking_code: '9400100' } })
    assert.equal(foreign.body.error.code, 'TRACKER.INVALID_TEST_CODE')
  })
})

describe('parcels to other countries', () => {
  let carrier: Carrier

  before(async () => {
    carrier = await startCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())

  it('get international services', async () => {
    const shipment = await carrier.create(parcelTo(BERLIN, { customs_info: CUSTOMS }))

    assert.deepEqual(
      shipment.rates.map((rate: Json) => rate.service),
      ['InternationalStandard', 'InternationalExpress'],
    )
    assert.equal(shipment.customs_info.customs_items[0].value, '24.0')
    assert.equal((await carrier.buy(shipment)).status, 200)
  })

  it('are not sold without a customs declaration', async () => {
    for (const customs of [undefined, null, { ...CUSTOMS, customs_items: [] }]) {
      const shipment = await carrier.create(parcelTo(BERLIN, { customs_info: customs }))

      const refused = await carrier.buy(shipment)

      assert.equal(refused.status, 422)
      assert.equal(refused.body.error.code, 'SHIPMENT.CUSTOMS_INFO.REQUIRED')
      assert.equal(refused.body.error.errors[0].field, 'customs_info')
      const read = await carrier.get(`/v2/shipments/${shipment.id}`)
      assert.equal(read.body.postage_label, null)
    }
  })
})

describe('what the carrier does not take', () => {
  let carrier: Carrier

  before(async () => {
    carrier = await startCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())

  it('offers no rates over 30 kg and says why', async () => {
    const limit = await carrier.create(parcelTo(CUSTOMER, { parcel: { weight: '1058.2' } }))
    const heavy = await carrier.create(parcelTo(CUSTOMER, { parcel: { weight: 1058.3 } }))

    assert.equal(limit.rates.length, 3)
    assert.deepEqual(limit.messages, [])
    assert.deepEqual(heavy.rates, [])
    assert.equal(heavy.messages[0].type, 'rate_error')
    assert.equal(heavy.messages[0].carrier, 'StandInPost')
    assert.match(heavy.messages[0].message, /limit is 1058\.2 oz/)
  })

  it('refuses some addresses at the moment of buying', async () => {
    const shipment = await carrier.create(parcelTo({ ...CUSTOMER, street1: '1 Refused Road' }))
    assert.equal(shipment.rates.length, 3)

    const refused = await carrier.buy(shipment)

    assert.equal(refused.status, 422)
    assert.equal(refused.body.error.code, 'SHIPMENT.POSTAGE.FAILURE')
    assert.equal(refused.body.error.errors[0].field, 'to_address')
  })

  it('refuses rates of other shipments', async () => {
    const [mine, other] = [await carrier.create(), await carrier.create()]

    const refused = await carrier.buy(mine, other.rates[0])

    assert.equal(refused.status, 404)
    assert.equal(refused.body.error.code, 'NOT_FOUND')
  })

  it('answers 404 in the vendor shape for what it does not know', async () => {
    const unknown = `shp_standin_${'0'.repeat(32)}`
    const answers = [
      await carrier.get(`/v2/shipments/${unknown}`),
      await carrier.get('/v2/shipments/shp_other'),
      await carrier.post(`/v2/shipments/${unknown}/buy`, { rate: { id: 'rate_x' } }),
      await carrier.post(`/v2/shipments/${unknown}/refund`),
      await carrier.get(`/v2/trackers/trk_standin_${'0'.repeat(32)}`),
      await carrier.get(`/v2/shipments?before_id=${unknown}`),
      await carrier.get('/v2/nothing'),
    ]

    for (const { status, body } of answers) {
      assert.equal(status, 404)
      assert.deepEqual(body, {
        error: {
          code: 'NOT_FOUND',
          message: 'The requested resource could not be found.',
          errors: [],
        },
      })
    }
  })

  it('names every field that is missing or wrong', async () => {
    const bad = await carrier.post('/v2/shipments', {
      shipment: {
        to_address: CUSTOMER,
        from_address: { ...WAREHOUSE, country: 'DE' },
        parcel: { weight: -1 },
      },
    })
    assert.equal(bad.status, 422)
    assert.equal(bad.body.error.code, 'PARAMETER.INVALID')
    assert.deepEqual(
      bad.body.error.errors.map((error: Json) => error.field),
      ['shipment.from_address.country', 'shipment.parcel.weight'],
    )

    const empty = await carrier.post('/v2/shipments', {})
    assert.equal(empty.status, 422)
    assert.deepEqual(empty.body.error, {
      code: 'PARAMETER.REQUIRED',
      message: 'Missing required parameter.',
      errors: [{ field: 'shipment', message: 'cannot be blank' }],
    })
  })

  it('answers 400 to what is no JSON object', async () => {
    for (const body of ['{"shipment":', '[]', '"text"']) {
      const bad = await carrier.post('/v2/shipments', body)

      assert.equal(bad.status, 400)
      assert.equal(bad.body.error.code, 'BAD_REQUEST')
    }
  })

  it('refuses what this subset cannot do instead of ignoring it', async () => {
    for (const more of [{ service: 'Ground' }, { is_return: true }, { parcel: { id: 'prcl_1' } }]) {
      const refused = await carrier.post('/v2/shipments', parcelTo(CUSTOMER, more))

      assert.equal(refused.status, 422)
      assert.match(JSON.stringify(refused.body.error.errors), /not part of the carrier stand-in/)
    }
  })

  it('takes test keys only, as Basic user name or bearer token', async () => {
    const withAuth = (authorization: string) =>
      carrier.call('GET', '/v2/shipments', undefined, { authorization })

    assert.equal((await withAuth(basic('EZTK1'))).status, 200)
    assert.equal((await withAuth('Bearer EZTK1')).status, 200)
    for (const bad of ['', 'Basic', basic(''), basic('EZAK_production'), 'Bearer nonsense']) {
      const refused = await withAuth(bad)
      assert.equal(refused.status, 401)
      assert.match(refused.body.error.code, /^APIKEY\./)
    }
  })
})

describe('the list of shipments', () => {
  let carrier: Carrier

  before(async () => {
    carrier = await startCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())

  it('pages from new to old by before_id and tells whether there is more', async () => {
    const ids: string[] = []
    for (let count = 0; count < 5; count += 1) {
      const shipment = await carrier.create()
      await carrier.buy(shipment)
      ids.unshift(shipment.id)
    }
    const page = async (query: string) => {
      const { body } = await carrier.get(`/v2/shipments?${query}`)
      return [body.shipments.map((shipment: Json) => shipment.id), body.has_more]
    }

    assert.deepEqual(await page('page_size=2'), [ids.slice(0, 2), true])
    assert.deepEqual(await page(`page_size=2&before_id=${ids[1]}`), [ids.slice(2, 4), true])
    assert.deepEqual(await page(`page_size=2&before_id=${ids[3]}`), [ids.slice(4), false])
    assert.deepEqual(await page(`after_id=${ids[2]}`), [ids.slice(0, 2), false])
    assert.equal((await carrier.get('/v2/shipments?page_size=101')).status, 422)
  })

  it('leaves out what was not bought, unless asked, as at EasyPost', async () => {
    const unbought = await carrier.create()
    const first = async (query: string) =>
      (await carrier.get(`/v2/shipments?page_size=1&${query}`)).body.shipments[0].id

    assert.notEqual(await first(''), unbought.id)
    assert.equal(await first('purchased=false'), unbought.id)
  })
})
