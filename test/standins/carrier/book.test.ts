import assert from 'node:assert/strict'
import { appendFile, open, readFile, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { buildCarrierStandIn } from '../../../standins/carrier/app.ts'
import { type Carrier, type Json, parcelTo, startCarrier } from './support.ts'

describe('the book', () => {
  let carrier: Carrier

  beforeEach(async () => {
    carrier = await startCarrier({ refundDelayMs: 3_600_000 })
  })
  afterEach(() => carrier[Symbol.asyncDispose]())

  /** Stops the server and starts another one on the same file. */
  const restart = async () => {
    await carrier.stop()
    return startCarrier({ dataFile: carrier.dataFile, refundDelayMs: 3_600_000 })
  }
  const fileLines = async () =>
    (await readFile(carrier.dataFile, 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))

  it('survives a restart: shipments, postage, refunds and totals', async () => {
    const [unbought, bought, refunded] = await Promise.all([
      carrier.create(),
      carrier.create(parcelTo(undefined, { reference: 'Zoë 東京' })),
      carrier.create(),
    ])
    await carrier.buy(bought, bought.rates[2])
    await carrier.buy(refunded)
    await carrier.post(`/v2/shipments/${refunded.id}/refund`)
    await carrier.post('/standin/refunds')
    const read = async (from: Carrier) =>
      Promise.all(
        [unbought, bought, refunded].map(async ({ id }) => {
          const { body } = await from.get(`/v2/shipments/${id}`)
          return JSON.stringify(body).replaceAll(from.base, '')
        }),
      )
    const [before, totals] = [await read(carrier), (await carrier.get('/standin/book')).body]

    await using next = await restart()

    assert.deepEqual(await read(next), before)
    assert.deepEqual((await next.get('/standin/book')).body, totals)
    assert.equal((await next.buy(bought)).body.error.code, 'SHIPMENT.POSTAGE.EXISTS')
    assert.equal((await next.buy(unbought)).status, 200)
    const { body: again } = await next.get(`/v2/shipments/${bought.id}`)
    const { body: tracker } = await next.post('/v2/trackers', {
      tracker: { tracking_code: again.tracking_code },
    })
    assert.equal(tracker.shipment_id, bought.id)
  })

  it('holds every purchase in the file before it is answered', async () => {
    const shipments: Json[] = await Promise.all(Array.from({ length: 50 }, () => carrier.create()))

    await Promise.all(
      shipments.map(async (shipment) => {
        const { status } = await carrier.buy(shipment)
        assert.equal(status, 200)
        const hex = shipment.id.slice('shp_standin_'.length)
        const lines = await fileLines()
        assert.ok(lines.some((line) => line.event === 'bought' && line.hex === hex))
      }),
    )
  })

  it('writes many purchases together', async () => {
    const shipments: Json[] = await Promise.all(Array.from({ length: 50 }, () => carrier.create()))
    const probe = await open(carrier.dataFile)
    const writes = mock.method(Object.getPrototypeOf(probe), 'appendFile')
    await probe.close()

    await Promise.all(shipments.map((shipment) => carrier.buy(shipment)))

    writes.mock.restore()
    assert.equal((await fileLines()).filter(({ event }) => event === 'bought').length, 50)
    assert.ok(writes.mock.callCount() < 50, `${writes.mock.callCount()} writes`)
  })

  it('drops a last line that a crash cut short and goes on', async () => {
    const shipment = await carrier.create()
    await carrier.stop()
    await appendFile(carrier.dataFile, '{"event":"bought","hex":"')

    await using next = await startCarrier({ dataFile: carrier.dataFile })
    assert.equal((await next.buy(shipment)).status, 200)
    assert.deepEqual(
      (await fileLines()).map(({ event }) => event),
      ['created', 'bought'],
    )
  })

  it('does not start on a book that is damaged in the middle', async () => {
    await carrier.create()
    await carrier.stop()
    const good = await readFile(carrier.dataFile, 'utf8')
    await writeFile(carrier.dataFile, `${good.slice(0, 40)}\n${good}`)

    await assert.rejects(
      buildCarrierStandIn({ dataFile: carrier.dataFile }),
      /line 1 is not an entry/,
    )
  })

  it('sells nothing more after a write failed, because it cannot know what arrived', async () => {
    const [one, two] = [await carrier.create(), await carrier.create()]
    const probe = await open(carrier.dataFile)
    const full = mock.method(Object.getPrototypeOf(probe), 'appendFile', async () => {
      throw new Error('ENOSPC')
    })
    await probe.close()

    const failed = await carrier.buy(one)
    full.mock.restore()

    assert.equal(failed.status, 500)
    assert.equal(failed.body.error.code, 'INTERNAL_SERVER_ERROR')
    assert.doesNotMatch(JSON.stringify(failed.body), /ENOSPC/)
    assert.equal((await carrier.buy(two)).status, 500)
    assert.equal((await carrier.get(`/v2/shipments/${one.id}`)).status, 500)
    assert.equal((await carrier.get('/readyz')).status, 503)
    assert.equal((await carrier.get('/healthz')).status, 200)
    await using next = await restart()
    assert.equal((await next.buy(one)).status, 200)
  })
})
