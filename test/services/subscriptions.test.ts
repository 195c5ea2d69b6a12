/** Resources are watched across replicas, reconnections, drains and the end of tokens. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, it } from 'node:test'
import { readConfig } from '../../platform/config.ts'
import { type Authorize, createMcpCaller } from '../../platform/mcp-client.ts'
import { createMetrics } from '../../platform/metrics.ts'
import type { RunningProcess } from '../../platform/process.ts'
import { newTraceId } from '../../platform/tracing.ts'
import { setStock, stockResource } from '../../services/inventory/contract.ts'
import { inventoryConfig, startInventory } from '../../services/inventory/service.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWatching, type Watching } from '../support/watching.ts'

interface Stock {
  readonly sku: string
  readonly available: number
}
interface Replica extends RunningProcess {
  readonly url: string
}

const sku = 'MNO345'
const stopMsMax = 3_000

describe('two replicas of the inventory service', () => {
  let db: TestDatabase
  let issuer: TestIssuer
  let a: Replica
  let b: Replica
  let listenersOfB: number[] = []
  const watches: Watching<Stock>[] = []

  const start = async (port: number): Promise<Replica> => {
    const url = `http://127.0.0.1:${port}`
    const env = {
      PORT: String(port),
      LOG_LEVEL: 'silent',
      DATABASE_URL: db.url,
      ISSUER_URL: issuer.url,
      RESOURCE_URL: url,
      SEED_DEMO: 'true',
      CLAUDE_MODE: 'standin',
      CLAUDE_URL: 'http://127.0.0.1:9',
      DRAIN_SECONDS: '10',
      DRAIN_ACCEPT_MS: '0',
    }
    const { stop } = await startInventory(readConfig(inventoryConfig, env))
    return { url, stop }
  }
  const listeners = async (): Promise<number[]> => {
    const { rows } = await db.query(
      `select pid from pg_stat_activity
        where datname = current_database() and query = 'listen resource_updated'`,
    )
    return rows.map(({ pid }) => pid as number)
  }
  const startB = async (port: number) => {
    const others = await listeners()
    b = await start(port)
    listenersOfB = (await listeners()).filter((pid) => !others.includes(pid))
  }

  before(async () => {
    db = await testDatabase()
    issuer = await testIssuer()
    a = await start(await freePort())
    await startB(await freePort())
  })
  afterEach(async () => {
    await Promise.all(watches.splice(0).map((watch) => watch.stop()))
  })
  after(async () => {
    await Promise.all([a.stop(), b.stop()])
    await issuer[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })

  const count = async (available: number, of = sku) => {
    const caller = createMcpCaller({
      server: 'inventory',
      baseUrl: a.url,
      authorize: issuer.authorize(a.url),
      metrics: createMetrics('test'),
    })
    await caller.call(
      setStock,
      { requestId: randomUUID(), sku: of, available, reason: 'Counted' },
      { timeoutMs: 5_000, traceId: newTraceId() },
    )
    await caller.close()
  }
  const watchB = (authorize: Authorize = issuer.authorize(b.url)) => {
    const watch = startWatching<Stock>({
      ...{ baseUrl: b.url, authorize, contract: stockResource, variables: { sku } },
    })
    watches.push(watch)
    return watch
  }
  const reads = ({ values }: Watching<Stock>, available: number) =>
    waitFor(() => values.at(-1)?.available === available, { what: `${available} to be read` })

  it('tell a listener of one what was written through the other', async () => {
    await count(11)
    const watch = watchB()
    await reads(watch, 11)

    await count(12)

    await reads(watch, 12)
    assert.equal(watch.values.at(-1)?.sku, sku)
  })

  it('tell nothing of what a listener does not watch', async () => {
    await count(21)
    const watch = watchB()
    await reads(watch, 21)
    const before = watch.values.length

    await count(5, 'PQR678')
    await count(22)
    await reads(watch, 22)

    assert.ok(watch.values.slice(before).every((value) => value.available === 22))
  })

  it('make up for what was missed while one had lost its event connection', async () => {
    await count(31)
    const watch = watchB()
    await reads(watch, 31)
    assert.equal(listenersOfB.length, 1)

    await db.query('select pg_terminate_backend($1)', listenersOfB)
    await count(32)

    await reads(watch, 32)
    await waitFor(async () => (await listeners()).length === 2, { what: 'B to listen again' })
    await count(33)
    await reads(watch, 33)
  })

  it('end a stream with its token, and the listener comes back with a fresh one', async () => {
    await count(41)
    let signed = 0
    const shortLived: Authorize = (call) => {
      signed += 1
      return issuer.signShort({ audience: b.url, clientId: 'console', ...call }, 1)
    }
    const watch = watchB(shortLived)
    await reads(watch, 41)
    const first = signed

    // A listen and a read for each stream.
    await waitFor(() => signed >= first + 4, { what: 'two more streams' })

    await count(42)
    await reads(watch, 42)
  })

  it('are not held up by listeners when one stops, and take them again after', async () => {
    await count(51)
    const watch = watchB()
    await reads(watch, 51)
    const { url } = b
    const startedMs = performance.now()

    await b.stop()

    const tookMs = performance.now() - startedMs
    assert.ok(tookMs < stopMsMax, `the stop took ${tookMs} ms`)
    await count(52)
    await startB(Number(new URL(url).port))
    await reads(watch, 52)
  })
})
