/**
 * The orchestrator in this process: its real routes, engine, issuer and tables, around a table of
 * answers and a scripted model. One for each test file: the engine exists once in a process.
 */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { authenticateBy } from '../../../orchestrator/caller.ts'
import { DbosEngine } from '../../../orchestrator/engine/dbos-engine.ts'
import { Flights } from '../../../orchestrator/flights.ts'
import type { IntakeDeps } from '../../../orchestrator/intake.ts'
import { createIssuer, type Issuer } from '../../../orchestrator/issuer.ts'
import { orchestratorOffers } from '../../../orchestrator/offers.ts'
import { orchestratorApi } from '../../../orchestrator/openapi.ts'
import { OrderWatch } from '../../../orchestrator/order-watch.ts'
import { approvalRoutes } from '../../../orchestrator/routes/approvals.ts'
import { explainRoute } from '../../../orchestrator/routes/explain.ts'
import { labelRoute } from '../../../orchestrator/routes/labels.ts'
import { orchestrateRoute } from '../../../orchestrator/routes/orchestrate.ts'
import { orderEventsRoute } from '../../../orchestrator/routes/order-events.ts'
import { orderRoutes } from '../../../orchestrator/routes/orders.ts'
import { tokenRoutes } from '../../../orchestrator/routes/token.ts'
import { registerRuns } from '../../../orchestrator/runs.ts'
import {
  createTokenVerifier,
  openStoredKey,
  type StoredKey,
  signAccessToken,
} from '../../../platform/access-tokens.ts'
import { defaultLimits } from '../../../platform/agent-types.ts'
import { createPool, type Pool } from '../../../platform/db.ts'
import { mountDoors } from '../../../platform/doors.ts'
import { identifyByToken } from '../../../platform/identify.ts'
import { createRateLimit } from '../../../platform/rate-limit.ts'
import { createHttpProcess } from '../../../platform/service.ts'
import { testDatabase } from '../../support/database.ts'
import { agentDeps } from '../../support/scripted-model.ts'
import { orchestratorMigrations } from './orders.ts'
import { type Services, servicesOf, type Table } from './services.ts'
import { decides, modelOf } from './world.ts'

export const publicUrl = 'http://orders.example'
const issuerUrl = 'http://issuer.example'
const settings = { model: 'claude-opus-5-5', effort: 'low', limits: defaultLimits } as const

export interface TestOrchestrator extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly pool: Pool
  /** What intake and the sweeps take. */
  readonly deps: IntakeDeps
  readonly issuer: Issuer
  readonly watch: OrderWatch
  readonly services: Services
  /** What the services say; a test may change it. */
  readonly table: Record<string, Table[string]>
  /** How much is let in; a test may change it. */
  readonly limits: { inFlightMax: number; queueMax: number }
  /** A bearer header of a client with these scopes. */
  token(clientId: string, scope: string, audience?: string): Promise<{ authorization: string }>
  /** Another replica's issuer on the same database. */
  replicaIssuer(): Promise<Issuer>
  drain(): void
}

/** Nothing rotates by itself. */
const keyTiming = { lead: 600_000, retain: 750_000, refresh: 30_000, rotateAfterDays: 3_650 }

export async function startTestOrchestrator(): Promise<TestOrchestrator> {
  const db = await testDatabase(orchestratorMigrations)
  const { log, metrics, ...agent } = agentDeps(modelOf({ decide: decides('ship') }))
  const pool = createPool(db.url, 10, log)
  const encryptionKey = randomBytes(32)
  const issuer = await createIssuer(pool, issuerUrl, encryptionKey, keyTiming)
  const table: Record<string, Table[string]> = {}
  const services = servicesOf(table)
  const engine = new DbosEngine({
    databaseUrl: db.url,
    poolMax: 8,
    queueConcurrency: 4,
    log,
    onRecovered: () => {},
  })
  const flights = new Flights()
  registerRuns(engine, flights, {
    ...services.callers,
    pool,
    log,
    retry: { attemptsMax: 3, backoffMinMs: 1, backoffMaxMs: 2 },
    agent: { ...agent, log, metrics },
    planAgent: settings,
    decideAgent: settings,
    orderLimitCents: 500_000,
    onEnd: () => {},
  })
  const watch = new OrderWatch(db.url, log)
  await watch.start()
  await engine.launch()

  const draining = new AbortController()
  const { app } = createHttpProcess({ log, metrics, checkReady: async () => {} })
  const verify = createTokenVerifier({
    issuer: issuerUrl,
    audience: publicUrl,
    keys: async () => issuer.jwks(),
  })
  const admit = createRateLimit(10_000, 10_000)
  const identify = identifyByToken({ verifyToken: verify, admit, metrics })
  const limits = { inFlightMax: 50, queueMax: 50 }
  const deps = Object.assign(limits, {
    ...{ pool, log, watch, engine, flights },
    ...services.callers,
    rules: { planning: 'never', patience: { roundsMax: 2, waitMinMs: 1, waitMaxMs: 1 } } as const,
    authenticate: authenticateBy(identify),
    answers: { publicUrl, mode: 'standin' as const },
    draining: draining.signal,
  })
  const elsewhere = { order: 'http://a.example', inventory: 'http://b.example' }
  tokenRoutes(app, {
    ...{ pool, log, issuer, issuerUrl, admit },
    resources: { ...elsewhere, orchestrator: publicUrl, fulfillment: 'http://c.example' },
  })
  orchestrateRoute(app, deps)
  orderRoutes(app, deps)
  orderEventsRoute(app, deps)
  approvalRoutes(app, deps)
  explainRoute(app, deps)
  labelRoute(app, deps)
  const doors = mountDoors(app, {
    ...{ name: 'orchestrator', version: '1', pool, log, metrics, identify },
    ...{ resourceUrl: publicUrl, issuers: [issuerUrl], databaseUrl: db.url, callDays: 30 },
    primitives: orchestratorOffers(deps),
    seesAll: 'orders:read:all',
    api: orchestratorApi(issuerUrl),
  })
  await doors.start()

  return {
    ...{ app, pool, deps, issuer, watch, services, table, limits },
    async token(clientId, scope, audience = publicUrl) {
      const stored = await pool.query<StoredKey>(
        `select kid, public_jwk as "publicJwk", private_jwe as "privateJwe" from signing_key`,
      )
      const [key] = stored.rows
      if (key === undefined) throw new Error('There is no key')
      const opened = await openStoredKey(key, encryptionKey)
      const token = await signAccessToken(issuerUrl, opened, { audience, clientId, scope })
      return { authorization: `Bearer ${token}` }
    },
    replicaIssuer: () => createIssuer(pool, issuerUrl, encryptionKey, keyTiming),
    drain: () => draining.abort(),
    async [Symbol.asyncDispose]() {
      draining.abort()
      doors.endStreams()
      await doors.stop()
      await app.close()
      await engine.shutdown(1_000)
      await watch.stop()
      await pool.end()
      await db[Symbol.asyncDispose]()
    },
  }
}
