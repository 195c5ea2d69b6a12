/** Far more orders at once than there is stock, and more than the door lets in. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { get, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const orders = 1_000
const attemptsMax = 100
const testMs = 4 * 60_000

describe('1,000 orders of 5 at once on 100 units', () => {
  let t: TestPlatform

  before(async () => {
    // A queue that is too small for all of them: some must come again.
    const env = { orchestrator: { QUEUE_MAX: '300' }, 'orchestrator-2': { QUEUE_MAX: '300' } }
    t = await startTestPlatform(20_400, { orchestrators: 2, env })
  })
  after(() => t[Symbol.asyncDispose]())

  it('are 20 fulfilled and 980 backordered, and nothing is sold twice', {
    timeout: testMs,
  }, async () => {
    const fronts = [t.platform.urls.orchestrator, t.platform.urls['orchestrator-2'] ?? '']
    const others: string[] = []
    let toldToWait = 0

    /** As a good client does: waits as long as it is told, and sends the same again. */
    const submit = async (nth: number): Promise<string> => {
      const headers = { 'idempotency-key': randomUUID(), prefer: 'wait=120' }
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const body = { sku: 'ABC123', qty: 5, customer: 'John Doe' }
        const answered = await postOrder(fronts[nth % 2] ?? '', body, headers)
        if (answered.status === 200) return answered.body.status
        const seconds = Number(answered.headers.get('retry-after'))
        if (answered.status !== 429 || !(seconds >= 1)) {
          others.push(`${answered.status} ${JSON.stringify(answered.body)}`)
          return 'error'
        }
        assert.equal(answered.body.code, 'overloaded')
        toldToWait += 1
        await delay(seconds * 1_000)
      }
      return 'gave up'
    }
    const ends = await Promise.all(Array.from({ length: orders }, (_, nth) => submit(nth)))

    assert.deepEqual(others, [])
    const count = (status: string) => ends.filter((end) => end === status).length
    assert.deepEqual([count('fulfilled'), count('backordered')], [20, 980])
    assert.ok(toldToWait > 0, 'nobody was told to come again: the burst was none')
    const stock = await t.rows(
      'inventory',
      `select available::int, held::int, committed::int from stock where sku = 'ABC123'`,
    )
    assert.deepEqual(stock, [{ available: 0, held: 0, committed: 100 }])
    const { body } = await get(`${t.platform.urls['carrier-standin']}/standin/book`)
    assert.deepEqual([body.totals.bought, body.totals.live], [20, 20])
    const [taken] = await t.rows('orchestrator', 'select count(*)::int as n from customer_order')
    assert.equal(taken?.n, orders)
  })
})
