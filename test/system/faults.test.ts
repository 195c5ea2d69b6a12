/** What orders do when processes are away or die: real kills, nothing lost, nothing doubled. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { hashOf, parseOrderRequest } from '../../orchestrator/order-request.ts'
import { waitFor } from '../support/wait-for.ts'
import { get, post, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
const agentSteps = ['check_inventory', 'decide', 'propose_shipment', 'validate_order']
const takeOverMs = 20_000
/** Three attempts with a deadline of 10 s each, and what is between them. */
const stalledMs = 40_000

describe('orders and processes that die', () => {
  let t: TestPlatform
  let first = ''
  let second = ''

  before(async () => {
    // Slow enough that an order is under way for most of a second when it is killed or cancelled.
    const env = { 'claude-standin': { LATENCY_OPUS_MS: '300' } }
    t = await startTestPlatform(23_000, { orchestrators: 2, env })
    first = t.platform.urls.orchestrator
    second = t.platform.urls['orchestrator-2'] ?? ''
  })
  after(() => t[Symbol.asyncDispose]())

  const stock = async () =>
    (
      await t.rows<{ available: number; held: number }>(
        'inventory',
        `select available::int, held::int from stock where sku = 'ABC123'`,
      )
    )[0]
  const labels = async (orderId: string) => {
    const book = await get(
      `${t.platform.urls['carrier-standin']}/standin/book?reference=${orderId}:1`,
    )
    return book.body.references[0]?.live ?? 0
  }
  const ended = (url: string, orderId: string, timeoutMs = takeOverMs) =>
    waitFor(
      async () => {
        const { body } = await get(`${url}/orders/${orderId}`)
        return body.status === 'running' ? undefined : body
      },
      { timeoutMs, what: `the end of order ${orderId}` },
    )

  /** Circuit breakers rest for two seconds after a dependency was away. */
  const recovered = () =>
    waitFor(async () => (await postOrder(first, ordinary)).body.status === 'fulfilled', {
      what: 'orders to flow again',
    })

  for (const service of ['fulfillment', 'inventory', 'order'] as const) {
    it(`holds an order while the ${service} service is away, after three attempts`, async () => {
      const before = await stock()
      await t.platform.kill(service)

      const { body } = await postOrder(first, ordinary)
      await t.platform.start(service)
      const after = await stock()
      await recovered()

      assert.equal(body.status, 'held')
      assert.equal(body.code, 'dependency_unavailable')
      assert.match(body.message, new RegExp(service))
      const failed = body.steps.find((step: { state: string }) => step.state === 'failed')
      assert.equal(failed.attempts, 3)
      assert.deepEqual(after, before)
      assert.equal(await labels(body.orderId), 0)
    })
  }

  it('holds an order while the inventory service is stalled, after three deadlines', async () => {
    const before = await stock()
    const { pid = 0 } = t.platform.processes.find(({ name }) => name === 'inventory') ?? {}
    assert.ok(pid > 1, 'inventory has no process')

    // Connections are still accepted, by the kernel; nobody answers.
    process.kill(pid, 'SIGSTOP')
    try {
      const { body } = await postOrder(first, ordinary, { prefer: 'respond-async' })
      const order = await ended(second, body.orderId, stalledMs)

      assert.deepEqual([order.status, order.code], ['held', 'dependency_unavailable'])
      assert.match(order.message, /inventory/)
      const failed = order.steps.filter((step: { state: string }) => step.state === 'failed')
      assert.partialDeepStrictEqual(failed, [
        { name: 'get_stock', attempts: 3, error: { kind: 'unavailable' } },
      ])
      assert.equal(await labels(body.orderId), 0)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await recovered()
    // One unit less for the order that shows that they flow again, and for none else.
    assert.deepEqual(await stock(), { ...before, available: (before?.available ?? 0) - 1 })
  })

  it('ships by rules while Claude is away, and says so', async () => {
    await t.platform.kill('claude-standin')

    const { body } = await postOrder(first, ordinary)
    await t.platform.start('claude-standin')
    await recovered()

    assert.equal(body.status, 'fulfilled')
    const decided = body.steps
      .filter((step: { name: string }) => agentSteps.includes(step.name))
      .map((step: { name: string; result: { by: string } }) => [step.name, step.result.by])
    assert.deepEqual(
      decided.toSorted(),
      agentSteps.map((name) => [name, 'rules']),
    )
    assert.equal(body.decision.by, 'rules')
  })

  it('runs an order that was taken in just before its process died: on the next repeat', async () => {
    const key = randomUUID()
    const orderId = await takenInOnly(key)

    const { body } = await postOrder(second, ordinary, { 'idempotency-key': key })

    assert.equal(body.orderId, orderId)
    assert.equal(body.status, 'fulfilled')
    assert.equal(await labels(orderId), 1)
  })

  it('runs an order that was taken in just before its process died: without any repeat', async () => {
    const orderId = await takenInOnly(randomUUID())

    const order = await ended(first, orderId)

    assert.equal(order.status, 'fulfilled')
    assert.equal(await labels(orderId), 1)
  })

  it('runs an order that was taken in just before all went down: on the next start', async () => {
    await Promise.all(['orchestrator', 'orchestrator-2'].map((name) => t.platform.kill(name)))
    const orderId = await takenInOnly(randomUUID())

    await t.platform.start('orchestrator')
    const order = await ended(first, orderId)
    await t.platform.start('orchestrator-2')

    assert.equal(order.status, 'fulfilled')
    assert.equal(await labels(orderId), 1)
  })

  it('hands the orders of a killed orchestrator on to the other one', async () => {
    const before = await stock()
    const accepted = await Promise.all(
      Array.from({ length: 8 }, () => postOrder(first, ordinary, { prefer: 'wait=0' })),
    )
    await t.platform.kill('orchestrator')

    for (const { body } of accepted) {
      const order = await ended(second, body.orderId)
      assert.equal(order.status, 'fulfilled')
      assert.equal(await labels(body.orderId), 1)
    }
    await t.platform.start('orchestrator')

    const after = await stock()
    assert.equal(after?.available, (before?.available ?? 0) - accepted.length)
    assert.equal(after?.held, 0)
  })

  it('cancels an order that has not been committed, and gives everything back', async () => {
    const before = await stock()
    const { body } = await postOrder(first, ordinary, { prefer: 'wait=0' })

    const cancel = await post(`${first}/orders/${body.orderId}/cancel`)
    const order = await ended(second, body.orderId)

    assert.equal(cancel.status, 202)
    assert.deepEqual([order.status, order.code], ['cancelled', 'cancelled_by_client'])
    assert.deepEqual(await stock(), before)
    assert.equal(await labels(body.orderId), 0)
  })

  /** The row that intake writes, and nothing after it: what a crash right then leaves. */
  async function takenInOnly(key: string): Promise<string> {
    const orderId = randomUUID()
    const request = parseOrderRequest(ordinary)
    await t.rows(
      'orchestrator',
      `insert into customer_order
         (order_id, client_id, idempotency_key, body_hash, request, label_key, trace_id)
       values ($1, 'local', $2, $3, $4, gen_random_uuid(), $5)`,
      [orderId, `key-${key}`, hashOf(request), request, 'f'.repeat(32)],
    )
    return orderId
  }
})
