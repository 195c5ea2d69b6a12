/** Orders while Claude serves some of its models, or none, on real processes. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { waitFor } from '../support/wait-for.ts'
import { get, postJson, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
const timesMax = 10_000

describe('orders while Claude is away in part or whole', () => {
  let t: TestPlatform
  let url = ''
  let claude = ''

  before(async () => {
    t = await startTestPlatform(20_200)
    url = t.platform.urls.orchestrator
    claude = t.platform.urls['claude-standin']
  })
  after(() => t[Symbol.asyncDispose]())
  afterEach(async () => {
    await fetch(`${claude}/faults`, { method: 'DELETE' })
    // Breakers rest for five seconds after a model was away.
    await waitFor(async () => (await postOrder(url, ordinary)).body.degraded === false, {
      timeoutMs: 30_000,
      what: 'orders to be judged as configured again',
    })
  })

  const overload = async (...models: string[]) => {
    const faults = models.map((model) => ({ kind: 'status', status: 529, model, times: timesMax }))
    assert.equal((await postJson(`${claude}/faults`, { faults })).status, 200)
  }
  const servedBy = (body: { steps: { name: string; agent?: { model: string } }[] }) =>
    Object.fromEntries(
      body.steps.flatMap(({ name, agent }) => (agent === undefined ? [] : [[name, agent.model]])),
    )

  it('go on with Sonnet where Opus is overloaded, and say so', async () => {
    await overload('opus')

    const { body } = await postOrder(url, ordinary)

    assert.equal(body.status, 'fulfilled')
    assert.deepEqual(servedBy(body), {
      validate_order: 'claude-haiku-5-5',
      check_inventory: 'claude-sonnet-5-5',
      propose_shipment: 'claude-sonnet-5-5',
      decide: 'claude-sonnet-5-5',
    })
    assert.equal(body.degraded, true)
    assert.deepEqual(
      body.lostCapabilities.map((lost: { step: string; servedBy: string }) => [
        lost.step,
        lost.servedBy,
      ]),
      [
        ['propose_shipment', 'claude-sonnet-5-5'],
        ['decide', 'claude-sonnet-5-5'],
      ],
    )
  })

  it('go on with Haiku where Sonnet is overloaded as well', async () => {
    await overload('opus', 'sonnet')

    const { body } = await postOrder(url, ordinary)

    assert.equal(body.status, 'fulfilled')
    assert.deepEqual([...new Set(Object.values(servedBy(body)))], ['claude-haiku-5-5'])
    const [first] = body.steps.filter(({ name }: { name: string }) => name === 'decide')
    assert.deepEqual(
      first.agent.fallbackFrom.map(({ model }: { model: string }) => model),
      ['claude-opus-5-5', 'claude-sonnet-5-5'],
    )
  })

  it('ship by rules alone where every model is, up to the limit for rules alone', async () => {
    await overload('opus', 'sonnet', 'haiku')

    const small = await postOrder(url, ordinary)
    const large = await postOrder(url, { sku: 'PQR678', qty: 1, customer: 'John Doe' })

    assert.deepEqual([small.body.status, small.body.decision.by], ['fulfilled', 'rules'])
    assert.deepEqual(
      [...new Set(small.body.lostCapabilities.map((l: { servedBy: string }) => l.servedBy))],
      ['rules'],
    )
    assert.deepEqual([large.body.status, large.body.code], ['held', 'rules_only_limit'])
    const { approval } = (await get(`${url}/orders/${large.body.orderId}`)).body
    assert.equal(approval.approvable, true)
  })
})
