import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  type OrchestratorConfig,
  orchestratorConfig,
  startOrchestrator,
} from '../../orchestrator/service.ts'
import { ConfigError, readConfig } from '../../platform/config.ts'
import type { OpenApiDocument } from '../../platform/openapi.ts'
import type { RunningProcess } from '../../platform/process.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { waitFor } from '../support/wait-for.ts'

/** Nobody listens there. */
const nowhere = 'http://127.0.0.1:9'

describe('the orchestrator’s process', () => {
  let db: TestDatabase
  let env: Record<string, string>
  let orchestrator: RunningProcess | undefined

  before(async () => {
    db = await testDatabase()
    const port = String(await freePort())
    const own = `http://127.0.0.1:${port}`
    env = {
      PORT: port,
      LOG_LEVEL: 'silent',
      DATABASE_URL: db.url,
      CLAUDE_MODE: 'standin',
      CLAUDE_URL: nowhere,
      ORDER_URL: nowhere,
      INVENTORY_URL: nowhere,
      FULFILLMENT_URL: nowhere,
      PUBLIC_URL: own,
      ISSUER_URL: own,
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      AUTH: 'off',
      STEP_BACKOFF_MIN_MS: '1',
      STEP_BACKOFF_MAX_MS: '2',
      PATIENCE_ROUNDS_MAX: '1',
      DRAIN_SECONDS: '2',
    }
  })
  after(async () => {
    await orchestrator?.stop()
    await db[Symbol.asyncDispose]()
  })

  const configOf = (change: Record<string, string> = {}): OrchestratorConfig =>
    readConfig(orchestratorConfig, { ...env, ...change })
  const ask = (path: string, init: RequestInit = {}) => fetch(`${env.PUBLIC_URL}${path}`, init)

  it('refuses to be open to others than this machine', () => {
    for (const HOST of ['0.0.0.0', '10.0.0.1', 'example.com', '::']) {
      assert.throws(() => configOf({ HOST }), ConfigError, HOST)
      assert.doesNotThrow(() => configOf({ HOST, AUTH: 'on' }))
    }
    for (const HOST of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) configOf({ HOST })
  })

  it('refuses a key that is not 32 bytes, before it listens', async () => {
    const config = configOf({ KEY_ENCRYPTION_KEY: Buffer.from('short').toString('base64') })

    await assert.rejects(startOrchestrator(config), /32 bytes/)

    await assert.rejects(ask('/healthz'))
  })

  it('serves everything from its first moment, and holds orders while services are away', async () => {
    orchestrator = await startOrchestrator(configOf())

    assert.equal((await ask('/healthz')).status, 200)
    assert.equal((await ask('/readyz')).status, 200)
    assert.match(await (await ask('/metrics')).text(), /orders_in_flight/)
    assert.equal(
      ((await (await ask('/.well-known/jwks.json')).json()) as { keys: [] }).keys.length,
      1,
    )
    const response = await ask('/orchestrate', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sku: 'mug', qty: 1, customer: 'Ada' }),
    })
    assert.equal(response.status, 200)
    assert.partialDeepStrictEqual(await response.json(), {
      status: 'held',
      code: 'dependency_unavailable',
      mode: 'standin',
    })
    assert.match(await (await ask('/metrics')).text(), /orders_total\{.*outcome="held".*\} 1/)
  })

  it('serves every route that its /openapi.json has', async () => {
    const { paths } = (await (await ask('/openapi.json')).json()) as OpenApiDocument
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const url = path.replaceAll(/\{\w+\}/g, randomUUID())
        const text = await (await ask(url, { method: method.toUpperCase() })).text()
        assert.doesNotMatch(text, /no_such_route/, `${method} ${path}`)
      }
    }
  })

  it('stops without a trace', async () => {
    const stopping = orchestrator
    orchestrator = undefined

    await stopping?.stop()

    await assert.rejects(ask('/healthz'))
    const leases = await db.query('select 1 from executor_lease')
    assert.equal(leases.rowCount, 0)
    const others = () =>
      db.query(
        `select 1 from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()`,
      )
    await waitFor(async () => (await others()).rowCount === 0, { what: 'all connections to end' })
  })
})
