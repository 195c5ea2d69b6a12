/**
 * Every link of the platform, harmed in every way: answers late, cut off, swallowed, refused. An order
 * under way ends lawfully within its deadlines, nothing is doubled, and once the harm is over all flows.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { platformSpecs } from '../../launcher/process-specs.ts'
import { type FaultProxy, type Harm, startFaultProxy } from '../support/fault-proxy.ts'
import { waitFor } from '../support/wait-for.ts'
import { get, postJson, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const portOffset = 21_300
const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
/** How long the harm lasts, unless the order ends before. */
const harmMs = 1_500
const endMs = 40_000
const testMs = 90_000
const deadlines = {
  ...{ CALL_TIMEOUT_MS: '700', CARRIER_CALL_TIMEOUT_MS: '2500', AGENT_CALL_TIMEOUT_MS: '4000' },
  ...{ DATABASE_TIMEOUT_MS: '700', CARRIER_TIMEOUT_MS: '500', CARRIER_BACKOFF_MIN_MS: '20' },
  ...{ AGENT_TURN_MS: '500', AGENT_RUN_MS: '1500', DATABASE_POOL_MAX: '5' },
}

/** A link by where it leads; the setting that holds its address is sent through a proxy. */
const links = {
  order: ['ORDER_URL', 'RESOURCE_URL'],
  inventory: ['INVENTORY_URL', 'RESOURCE_URL'],
  fulfillment: ['FULFILLMENT_URL', 'RESOURCE_URL'],
  orchestrator: ['ISSUER_URL'],
  'claude-standin': ['CLAUDE_URL'],
  'carrier-standin': ['CARRIER_URL'],
} as const
const databases = ['orchestrator', 'order', 'inventory', 'fulfillment'] as const

const harms: readonly Harm[] = [
  { kind: 'latency', ms: 100 },
  { kind: 'reset', afterBytes: 40 },
  { kind: 'black_hole' },
  { kind: 'refused' },
]

describe('orders over links that are harmed', () => {
  let t: TestPlatform
  let url = ''
  const proxies = new Map<string, FaultProxy>()

  before(async () => {
    const specs = platformSpecs({ portOffset, orchestrators: 1, claudeMode: 'standin' })
    for (const { name, port } of specs) proxies.set(name, await startFaultProxy(port))
    const { port: postgres } = new URL(process.env.TEST_ADMIN_DATABASE_URL ?? '')
    for (const name of databases) {
      proxies.set(`${name}’s Postgres`, await startFaultProxy(Number(postgres)))
    }
    const portOf = (name: string) => String(proxies.get(name)?.port)
    const rewired = specs.map((spec) => ({
      ...spec,
      env: (setup: Parameters<typeof spec.env>[0]) => {
        const env: Record<string, string> = { ...spec.env(setup) }
        const send = (setting: string, to: string) => {
          const address = env[setting]
          if (address === undefined) return
          const rewritten = new URL(address)
          rewritten.port = portOf(to)
          rewritten.hostname = '127.0.0.1'
          env[setting] = rewritten.href.replace(/\/$/, '')
        }
        for (const [to, settings] of Object.entries(links)) {
          for (const setting of settings) {
            // A service's own address is the audience of its tokens: the one that is called.
            if (setting !== 'RESOURCE_URL' || spec.name === to) send(setting, to)
          }
        }
        send('DATABASE_URL', `${spec.name}’s Postgres`)
        return env
      },
    }))
    const env = Object.fromEntries(databases.map((name) => [name, deadlines]))
    const short = { STEP_BACKOFF_MIN_MS: '20', STEP_BACKOFF_MAX_MS: '100' }
    const patience = { PATIENCE_WAIT_MIN_MS: '50', PATIENCE_WAIT_MAX_MS: '500' }
    t = await startTestPlatform(portOffset, {
      specs: rewired,
      env: { ...env, orchestrator: { ...deadlines, ...short, ...patience } },
    })
    url = t.platform.urls.orchestrator
  })
  after(async () => {
    await t[Symbol.asyncDispose]()
    for (const proxy of proxies.values()) await proxy[Symbol.asyncDispose]()
  })

  const stock = async () =>
    (
      await t.rows<Record<'available' | 'held' | 'committed' | 'sum', number>>(
        'inventory',
        `select available::int, held::int, committed::int,
                (select sum(quantity) from stock_adjustment a where a.sku = s.sku)::int as sum
           from stock s where sku = 'ABC123'`,
      )
    )[0]
  const liveLabels = async (orderId: string) => {
    const book = await get(
      `${t.platform.urls['carrier-standin']}/standin/book?reference=${orderId}:1`,
    )
    return book.body.references[0]?.live ?? 0
  }
  /** Sends one order until it is taken in, as a client that tries again. */
  const submit = (key: string): Promise<string> =>
    waitFor<string>(
      async () => {
        const headers = { 'idempotency-key': key, prefer: 'wait=1' }
        const { status, body } = await postOrder(url, ordinary, headers)
        assert.ok([200, 202, 503].includes(status), `${status} ${JSON.stringify(body)}`)
        return status === 503 ? '' : (body.orderId as string)
      },
      { timeoutMs: endMs, what: 'the order to be taken in' },
    )
  const ended = async (orderId: string) => {
    const isOver = async () => {
      const { status, body } = await get(`${url}/orders/${orderId}`)
      return status === 200 && body.status !== 'running'
    }
    await waitFor(isOver, { timeoutMs: endMs, what: `the end of ${orderId}` })
    return (await get(`${url}/orders/${orderId}`)).body
  }

  async function assertLawful(orderId: string, before: Awaited<ReturnType<typeof stock>>) {
    const order = await ended(orderId)
    const isShipped = order.status === 'fulfilled'
    const isHeld = order.status === 'held' && order.code === 'dependency_unavailable'
    assert.ok(isShipped || isHeld, `${order.status} ${order.code}: ${order.message}`)
    assert.equal(await liveLabels(orderId), isShipped ? 1 : 0)
    const after = await stock()
    assert.equal(after?.held, 0)
    assert.equal(after?.committed, (before?.committed ?? 0) + (isShipped ? 1 : 0))
    const total = (after?.available ?? 0) + (after?.held ?? 0) + (after?.committed ?? 0)
    assert.equal(total, after?.sum)
  }

  const recovered = () =>
    waitFor(async () => (await postOrder(url, ordinary)).body.status === 'fulfilled', {
      timeoutMs: endMs,
      what: 'orders to flow again',
    })

  for (const link of [...Object.keys(links), ...databases.map((name) => `${name}’s Postgres`)]) {
    it(`end lawfully whatever is done to the link to ${link}`, { timeout: testMs }, async () => {
      for (const harm of harms) {
        const before = await stock()
        const proxy = proxies.get(link)
        proxy?.harm(harm)
        const taken = submit(randomUUID())
        taken.catch(() => {})
        await Promise.race([taken.then(ended), delay(harmMs)])
        proxy?.harm({ kind: 'none' })

        await assertLawful(await taken, before)
        await recovered()
      }
    })
  }

  for (const kind of ['status_after_effect', 'reset', 'stall_after_effect'] as const) {
    it(`are one label when the carrier sells it and then answers with ${kind}`, async () => {
      const before = await stock()
      const carrier = t.platform.urls['carrier-standin']
      await postJson(`${carrier}/standin/faults`, { route: 'buy', kind, times: 1 })

      const orderId = await submit(randomUUID())
      await assertLawful(orderId, before)

      assert.equal((await ended(orderId)).status, 'fulfilled')
      await recovered()
    })
  }

  it('never make a process scream', () => {
    const screams = /unhandled ?rejection|uncaught ?exception|MaxListenersExceeded/i
    assert.deepEqual(
      t.logs.filter((line) => screams.test(line)),
      [],
    )
  })
})
