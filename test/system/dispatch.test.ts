/** One stream of orders by each way into the engine: the end must be the same. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { orderMix } from '../chaos/orders.ts'
import { waitFor } from '../support/wait-for.ts'
import { get, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const orders = 60
const ways = ['direct', 'queued', 'mixed'] as const
const testMs = 3 * 60_000

describe('the same orders started directly, from the queue, and mixed', () => {
  const platforms: TestPlatform[] = []

  before(async () => {
    for (const [i] of ways.entries()) {
      platforms.push(await startTestPlatform(20_500 + i * 100))
    }
  })
  after(() => Promise.all(platforms.map((t) => t[Symbol.asyncDispose]())))

  it('end in the same final state', { timeout: testMs }, async () => {
    const finals = await Promise.all(platforms.map((t, i) => run(t, ways[i] ?? 'mixed')))

    const [direct, queued, mixed] = finals
    const outcomes = new Set(direct?.ends.map((end) => end.split(' ')[0]))
    for (const outcome of ['fulfilled', 'rejected', 'backordered', 'held']) {
      assert.ok(outcomes.has(outcome), `no order ended ${outcome}`)
    }
    assert.deepEqual(queued, direct)
    assert.deepEqual(mixed, direct)
  })

  async function run(t: TestPlatform, way: (typeof ways)[number]) {
    const url = t.platform.urls.orchestrator
    // Cancels race with their run by design: whoever is first wins, so they are left out here.
    const next = orderMix(7)
    const bodies = Array.from({ length: orders }, () => next()).filter((order) => !order.cancels)
    const ids: string[] = []
    for (const [nth, { body }] of bodies.entries()) {
      const isQueued = way === 'queued' || (way === 'mixed' && nth % 2 === 0)
      const headers = { prefer: isQueued ? 'respond-async' : 'wait=60' }
      const { body: answer } = await postOrder(url, body, headers)
      ids.push(answer.orderId)
      // One after the other: who gets the last unit must not depend on the way.
      const isOver = async () =>
        (await get(`${url}/orders/${answer.orderId}`)).body.status !== 'running'
      await waitFor(isOver, { what: `the end of ${answer.orderId}` })
    }
    const answers = await Promise.all(ids.map((id) => get(`${url}/orders/${id}`)))
    const stock = await t.rows(
      'inventory',
      'select sku, available::int, held::int, committed::int from stock order by sku',
    )
    const book = await get(`${t.platform.urls['carrier-standin']}/standin/book`)
    return {
      ends: answers.map(({ body }) => `${body.status} ${body.code} ${body.label?.service}`),
      stock,
      labels: book.body.totals,
    }
  }
})
