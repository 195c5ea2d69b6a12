/** Orders on real processes while every agent may be anybody: the promises hold all the same. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { checkHostile, readAnswers } from '../chaos/hostile-checks.ts'
import type { GivenAnswer } from '../chaos/hostile-facts.ts'
import { limitsOf } from '../chaos/hostile-limits.ts'
import { hostileOrders } from '../chaos/hostile-orders.ts'
import { takeSnapshot } from '../chaos/hostile-policy.ts'
import { waitFor } from '../support/wait-for.ts'
import { get, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const orders = 200
const clients = 6
const seed = 11
const limits = { AGENT_TURN_MS: '800', AGENT_RUN_MS: '2500' }
/** Slow ones are rare: each takes all the time there is, and the breaker rests all others. */
const mix = {
  ...{ honest: 3, liar: 2, injected: 2, looper: 1, flooder: 1 },
  ...{ truncator: 1, refuser: 1, garbage: 3, slow: 0.3 },
}
const screams = /unhandled ?rejection|uncaught ?exception|MaxListenersExceeded|"level":(50|60)/i

describe('orders under a hostile model', () => {
  let t: TestPlatform
  let front = ''

  before(async () => {
    const short = { ...limits, MODEL_BACKOFF_MIN_MS: '20', MODEL_BACKOFF_MAX_MS: '100' }
    const retries = { STEP_BACKOFF_MIN_MS: '20', STEP_BACKOFF_MAX_MS: '100' }
    t = await startTestPlatform(20_300, {
      env: {
        orchestrator: { ...short, ...retries },
        ...{ order: short, inventory: short, fulfillment: short },
        'claude-standin': { PERSONAS: JSON.stringify(mix), PERSONA_SEED: String(seed) },
      },
    })
    front = t.platform.urls.orchestrator
  })
  after(() => t[Symbol.asyncDispose]())

  it('end as the rules allow, tell nothing of others, and leave everything else as it is', async () => {
    const before = await takeSnapshot(t.rows)
    const answers: GivenAnswer[] = []
    const next = hostileOrders(seed)
    const wanted = Array.from({ length: orders }, next).values()
    const client = async () => {
      for (const { body } of wanted) {
        const answer = await postOrder(front, body)
        assert.equal(answer.status, 200, JSON.stringify(answer.body))
        answers.push({ orderId: answer.body.orderId, body: answer.body })
      }
    }
    await Promise.all(Array.from({ length: clients }, client))
    await waitFor(
      async () => {
        const open = await t.rows(
          'orchestrator',
          `select 1 from dbos.workflow_status where status in ('PENDING', 'ENQUEUED', 'DELAYED')`,
        )
        return open.length === 0
      },
      { what: 'every run to end' },
    )

    const breaches = await checkHostile({
      rows: t.rows,
      carrierUrl: t.platform.urls['carrier-standin'],
      answers: [...answers, ...(await readAnswers(front, t.rows))],
      before,
      limits: limitsOf({ turnMs: 800, runMs: 2_500 }),
    })
    const { body: cast } = await get(`${t.platform.urls['claude-standin']}/personas`)

    assert.deepEqual(breaches, [])
    assert.deepEqual(Object.keys(cast.begun).sort(), Object.keys(mix).sort())
    assert.deepEqual(
      t.logs.filter((line) => screams.test(line)),
      [],
    )
    const statuses = new Set(answers.map(({ body }) => (body as { status: string }).status))
    for (const status of ['fulfilled', 'held', 'rejected', 'backordered']) {
      assert.ok(statuses.has(status), `no order was ${status}`)
    }
  })

  it('hold nothing, and buy one label for each that is fulfilled', async () => {
    const ended = await t.rows<{ orderId: string; status: string }>(
      'orchestrator',
      `select order_id as "orderId", status from customer_order`,
    )
    const held = await t.rows('inventory', `select sku from stock where held <> 0`)
    const { body: book } = await get(`${t.platform.urls['carrier-standin']}/standin/book`)
    const live = new Map<string, number>(
      book.references.map(({ reference, live: labels }: { reference: string; live: number }) => [
        reference.split(':')[0] ?? '',
        labels,
      ]),
    )

    assert.equal(ended.length, orders)
    assert.deepEqual(held, [])
    for (const { orderId, status } of ended) {
      assert.notEqual(status, 'running')
      assert.equal(live.get(orderId) ?? 0, status === 'fulfilled' ? 1 : 0, `${orderId} ${status}`)
    }
  })

  it('would not pass the checks with one row changed', async () => {
    const [order] = await t.rows<{ id: string }>(
      'orchestrator',
      `select order_id as id from customer_order where status = 'fulfilled' limit 1`,
    )
    const id = order?.id
    const run = {
      ...{ rows: t.rows, carrierUrl: t.platform.urls['carrier-standin'], limits: limitsOf() },
      ...{ answers: [], before: await takeSnapshot(t.rows) },
    }
    const whats = async () => new Set((await checkHostile(run)).map(({ what }) => what))
    assert.deepEqual(await whats(), new Set())

    await t.rows('orders', `update product set price_cents = price_cents + 1 where sku = 'DEF456'`)
    await t.rows('orders', `update order_line set quantity = 900 where order_id = $1`, [id])
    await t.rows('fulfillment', `update shipment set service = 'INVENTED' where order_id = $1`, [
      id,
    ])

    assert.deepEqual(
      await whats(),
      new Set([
        'an order that is not as it was ordered',
        'a shipment that is not as it was offered',
        'a label that nobody decided on',
        'rows changed outside policy',
        'words of a model where none belong',
      ]),
    )
  })
})
