import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { basic, type Carrier, KEY, parcelTo, startCarrier, until } from './support.ts'

describe('faults on order', () => {
  let carrier: Carrier

  beforeEach(async () => {
    carrier = await startCarrier()
  })
  afterEach(() => carrier[Symbol.asyncDispose]())

  const order = (fault: object) => carrier.post('/standin/faults', fault)
  const waiting = async () => (await carrier.get('/standin/faults')).body.faults
  const isBought = async (id: string) =>
    (await carrier.get(`/v2/shipments/${id}`)).body.tracking_code !== null

  it('answer with a status instead of doing it, as often as ordered', async () => {
    const shipment = await carrier.create()
    const ordered = await order({ route: 'buy', kind: 'status', status: 503, times: 2 })
    assert.equal(ordered.status, 201)

    for (let count = 0; count < 2; count += 1) {
      const failed = await carrier.buy(shipment)
      assert.equal(failed.status, 503)
      assert.equal(failed.body.error.code, 'SERVICE_UNAVAILABLE')
      assert.equal(failed.headers.get('retry-after'), '1')
    }

    assert.deepEqual(await waiting(), [])
    assert.equal(await isBought(shipment.id), false)
    assert.equal((await carrier.buy(shipment)).status, 200)
  })

  it('fail after the deed, so that only a read can tell', async () => {
    const shipment = await carrier.create()
    await order({ route: 'buy', kind: 'status_after_effect' })

    const failed = await carrier.buy(shipment)

    assert.equal(failed.status, 500)
    assert.equal(failed.body.error.code, 'INTERNAL_SERVER_ERROR')
    assert.equal(await isBought(shipment.id), true)
    assert.equal((await carrier.buy(shipment)).body.error.code, 'SHIPMENT.POSTAGE.EXISTS')
  })

  it('reset the connection after the deed', async () => {
    const shipment = await carrier.create()
    await order({ route: 'buy', kind: 'reset' })

    await assert.rejects(carrier.buy(shipment), TypeError)

    assert.equal(await isBought(shipment.id), true)
  })

  it('stall until the caller gives up, with or without the deed', async () => {
    for (const [kind, bought] of [
      ['stall', false],
      ['stall_after_effect', true],
    ] as const) {
      const shipment = await carrier.create()
      await order({ route: 'buy', kind })
      const giveUp = new AbortController()
      const call = fetch(`${carrier.base}/v2/shipments/${shipment.id}/buy`, {
        method: 'POST',
        headers: { authorization: basic(KEY), 'content-type': 'application/json' },
        body: JSON.stringify({ rate: { id: shipment.rates[0].id } }),
        signal: giveUp.signal,
      })
      call.catch(() => undefined)
      await until(async () => (await waiting()).length === 0)
      await until(async () => (await isBought(shipment.id)) === bought)

      giveUp.abort()

      await assert.rejects(call, { name: 'AbortError' })
    }
  })

  it('do not keep the server from stopping', async () => {
    const shipment = await carrier.create()
    await order({ route: 'refund', kind: 'stall' })
    const call = assert.rejects(carrier.post(`/v2/shipments/${shipment.id}/refund`), TypeError)
    await until(async () => (await waiting()).length === 0)

    await carrier.stop()

    await call
  })

  it('refuse for good', async () => {
    const shipment = await carrier.create()
    await order({ route: 'buy', kind: 'refuse' })

    const refused = await carrier.buy(shipment)

    assert.equal(refused.status, 422)
    assert.equal(refused.body.error.code, 'SHIPMENT.POSTAGE.FAILURE')
    assert.equal(await isBought(shipment.id), false)
  })

  it('meet the route they were ordered for, in order', async () => {
    await order({
      faults: [
        { route: 'create', kind: 'status', status: 429 },
        { route: 'rates', kind: 'status' },
        { route: 'create', kind: 'status_after_effect', status: 503 },
      ],
    })

    assert.equal((await carrier.post('/v2/shipments', parcelTo())).status, 429)
    assert.equal((await carrier.post('/v2/shipments', parcelTo())).status, 503)
    assert.equal((await carrier.post('/v2/shipments', parcelTo())).status, 201)
    assert.equal((await carrier.post('/beta/rates', parcelTo())).status, 500)
    assert.equal((await carrier.get('/standin/book')).body.totals.shipments, 2)
  })

  it('can be taken back, and are checked and bounded', async () => {
    await order({ route: 'get', kind: 'status' })
    assert.deepEqual((await carrier.call('DELETE', '/standin/faults')).body, { faults: [] })

    assert.equal((await order({ route: 'buy', kind: 'explode' })).status, 422)
    const many = Array.from({ length: 100 }, () => ({ route: 'buy', kind: 'status' }))
    assert.equal((await order({ faults: many })).status, 201)
    assert.equal(
      (await order({ route: 'buy', kind: 'status' })).body.error.code,
      'STANDIN.FAULTS.FULL',
    )
  })

  it('can be configured from the start', async () => {
    await using faulty = await startCarrier({
      faults: [{ route: 'create', kind: 'status', status: 503, times: 1 }],
    })

    assert.equal((await faulty.post('/v2/shipments', parcelTo())).status, 503)
    assert.equal((await faulty.post('/v2/shipments', parcelTo())).status, 201)
  })

  it('are ordered from this machine only', async () => {
    const refused = await carrier.app.inject({
      url: '/standin/faults',
      remoteAddress: '10.0.0.7',
    })

    assert.equal(refused.statusCode, 403)
  })
})

describe('honesty', () => {
  it('marks every answer as the stand-in’s, errors too', async () => {
    await using carrier = await startCarrier()
    const answers = [
      await carrier.get('/healthz'),
      await carrier.get('/readyz'),
      await carrier.get('/v2/nothing'),
      await carrier.post('/v2/shipments', 'not json'),
      await carrier.post('/v2/shipments', parcelTo()),
      await carrier.call('GET', '/v2/shipments', undefined, { authorization: '' }),
    ]

    for (const { headers } of answers) assert.equal(headers.get('x-carrier-stand-in'), 'true')
  })
})
