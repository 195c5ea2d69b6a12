/** Composes the orchestrator: configuration, engine, issuer, callers, workflow, routes. */
import { z } from 'zod'
import { createTokenVerifier } from '../platform/access-tokens.ts'
import {
  agentConfig,
  agentSettings,
  modelRetry,
  modelRetryConfig,
} from '../platform/agent-config.ts'
import {
  baseUrl,
  claudeConfig,
  databaseConfig,
  doorConfig,
  integer,
  processConfig,
} from '../platform/config.ts'
import { createPool } from '../platform/db.ts'
import { mountDoors } from '../platform/doors.ts'
import { countRefusals, type Identify, identifyByToken } from '../platform/identify.ts'
import { createLog, type Log } from '../platform/log.ts'
import { createMcpCaller } from '../platform/mcp-client.ts'
import { createMetrics, type Metrics } from '../platform/metrics.ts'
import { migrate } from '../platform/migrate.ts'
import { createModel, type Model } from '../platform/model.ts'
import { modelId, readPrices } from '../platform/prices.ts'
import type { RunningProcess } from '../platform/process.ts'
import { type Admit, createRateLimit } from '../platform/rate-limit.ts'
import { createHttpProcess, drained } from '../platform/service.ts'
import { startTracing } from '../platform/tracing.ts'
import { authenticateBy, identifyLocally } from './caller.ts'
import { DbosEngine } from './engine/dbos-engine.ts'
import { endFailedRuns } from './failed-runs.ts'
import { Flights } from './flights.ts'
import { startForgotten } from './intake.ts'
import { createIssuer, type Issuer, readEncryptionKey } from './issuer.ts'
import { createOrderMetrics } from './metrics.ts'
import { orchestratorOffers } from './offers.ts'
import { orchestratorApi } from './openapi.ts'
import { channel as orderChannel } from './order-events.ts'
import { countStuck } from './order-store.ts'
import { OrderWatch } from './order-watch.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { explainRoute } from './routes/explain.ts'
import { labelRoute } from './routes/labels.ts'
import { orchestrateRoute } from './routes/orchestrate.ts'
import { orderEventsRoute } from './routes/order-events.ts'
import { orderRoutes } from './routes/orders.ts'
import { tokenRoutes } from './routes/token.ts'
import { registerRuns } from './runs.ts'
import { keyTiming, tokenConfig } from './token-config.ts'
import { defaultDeadlines } from './workflows/calls.ts'
import type { FlowDeps, RunRules } from './workflows/fulfill-order.ts'

export const orchestratorConfig = claudeConfig
  .extend(processConfig.shape)
  .extend(databaseConfig.shape)
  .extend(doorConfig.shape)
  .extend(modelRetryConfig.shape)
  .extend(agentConfig({ model: 'claude-opus-5-5', effort: 'medium' }).shape)
  .extend(tokenConfig.shape)
  .extend({
    ORDER_URL: baseUrl,
    INVENTORY_URL: baseUrl,
    FULFILLMENT_URL: baseUrl,
    /** As callers reach us: the base of links in answers and the audience of their tokens. */
    PUBLIC_URL: baseUrl,
    /** The `iss` of our tokens; the same as PUBLIC_URL where services can be given a JWKS_URL. */
    ISSUER_URL: baseUrl,
    AUTH: z.enum(['on', 'off']).default('on'),
    PLANNING: z.enum(['auto', 'always', 'never']).default('auto'),
    ORDER_LIMIT_CENTS: integer(0, 1_000_000_000).default(500_000),
    /** Above it an order waits for a person when no model could judge it. */
    RULES_ONLY_LIMIT_CENTS: integer(0, 1_000_000_000).default(50_000),
    /** The planning agent's, where it differs from AGENT_MODEL and AGENT_EFFORT. */
    PLAN_MODEL: modelId.optional(),
    PLAN_EFFORT: z.enum(['low', 'medium', 'high']).optional(),
    IN_FLIGHT_MAX: integer(1, 10_000).default(64),
    QUEUE_MAX: integer(0, 1_000_000).default(1_000),
    CALL_TIMEOUT_MS: integer(100, 600_000).default(defaultDeadlines.callMs),
    CARRIER_CALL_TIMEOUT_MS: integer(100, 600_000).default(defaultDeadlines.carrierCallMs),
    AGENT_CALL_TIMEOUT_MS: integer(100, 600_000).default(defaultDeadlines.agentCallMs),
    STEP_ATTEMPTS_MAX: integer(1, 10).default(3),
    STEP_BACKOFF_MIN_MS: integer(1, 60_000).default(1_000),
    STEP_BACKOFF_MAX_MS: integer(1, 60_000).default(10_000),
    PATIENCE_ROUNDS_MAX: integer(1, 1_000).default(8),
    PATIENCE_WAIT_MIN_MS: integer(1, 60_000).default(1_000),
    PATIENCE_WAIT_MAX_MS: integer(1, 600_000).default(30_000),
  })
  .refine((config) => config.AUTH === 'on' || isLoopback(config.HOST), {
    path: ['AUTH'],
    message: 'off is allowed only while HOST is a loopback address',
  })
export type OrchestratorConfig = Readonly<z.output<typeof orchestratorConfig>>

const sweepMs = 5_000
const isLoopback = (host: string) => /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host)

/** Starts the orchestrator. Ready once its database answers and its engine runs. */
export async function startOrchestrator(config: OrchestratorConfig): Promise<RunningProcess> {
  const encryptionKey = readEncryptionKey(config.KEY_ENCRYPTION_KEY)
  const log = createLog('orchestrator', config.LOG_LEVEL)
  const tracing = await startTracing(config, 'orchestrator', log)
  const metrics = createMetrics('orchestrator')
  const pool = createPool(
    config.DATABASE_URL,
    config.DATABASE_POOL_MAX,
    log,
    config.DATABASE_TIMEOUT_MS,
  )
  metrics.watchPool('service', pool)
  await migrate(pool, new URL('./migrations/', import.meta.url))
  const issuer = await createIssuer(pool, config.ISSUER_URL, encryptionKey, keyTiming(config))
  const orderMetrics = createOrderMetrics(metrics)
  const model = createModel(config, readPrices(), metrics)
  const services = createCallers(config, issuer, metrics)
  const flights = new Flights()
  const engine = new DbosEngine({
    databaseUrl: config.DATABASE_URL,
    poolMax: config.DATABASE_POOL_MAX,
    databaseTimeoutMs: config.DATABASE_TIMEOUT_MS,
    queueConcurrency: config.IN_FLIGHT_MAX,
    log,
    onRecovered: (runs) => orderMetrics.recoveries.inc(runs),
    watchPool: metrics.watchPool,
  })
  orderMetrics.watchOrders({
    inFlight: () => flights.running,
    waiting: async () => ({
      queued: await engine.queued(),
      queueAgeSeconds: await engine.queueAgeSeconds(),
      stuck: await countStuck(pool),
    }),
  })
  const onEnd: FlowDeps['onEnd'] = ({ outcome, code }, acceptedAtMs) => {
    const durationMs = Date.now() - acceptedAtMs
    orderMetrics.ended(outcome, durationMs)
    log.info({ outcome, code, durationMs }, 'order ended')
  }
  const flowDeps = {
    ...services,
    ...flowSettings(config, log, metrics, model),
    pool,
    log,
    onEnd,
  }
  registerRuns(engine, flights, flowDeps)
  metrics.listenReconnects.inc({ channel: orderChannel }, 0)
  const watch = new OrderWatch(config.DATABASE_URL, log, () =>
    metrics.listenReconnects.inc({ channel: orderChannel }),
  )
  await watch.start()
  await engine.launch()

  const draining = new AbortController()
  const http = createHttpProcess({ log, metrics, checkReady: () => pool.query('select 1') })
  const admit = createRateLimit(config.CLIENT_CALLS_PER_SECOND, config.CLIENT_CALLS_BURST)
  const identify = createIdentify(config, issuer, metrics, admit)
  const deps = {
    pool,
    log,
    watch,
    engine,
    flights,
    ...services,
    inFlightMax: config.IN_FLIGHT_MAX,
    queueMax: config.QUEUE_MAX,
    rules: runRules(config),
    authenticate: authenticateBy(identify, metrics.refused),
    answers: { publicUrl: config.PUBLIC_URL, mode: model.mode },
    draining: draining.signal,
  }
  tokenRoutes(http.app, {
    pool,
    log,
    issuer,
    issuerUrl: config.ISSUER_URL,
    admit,
    onRefused: metrics.refused,
    resources: {
      orchestrator: config.PUBLIC_URL,
      order: config.ORDER_URL,
      inventory: config.INVENTORY_URL,
      fulfillment: config.FULFILLMENT_URL,
    },
  })
  orchestrateRoute(http.app, deps)
  orderRoutes(http.app, deps)
  orderEventsRoute(http.app, deps)
  approvalRoutes(http.app, deps)
  explainRoute(http.app, deps)
  labelRoute(http.app, deps)
  const doors = mountDoors(http.app, {
    ...{ name: 'orchestrator', version: '1', pool, log, metrics, identify },
    resourceUrl: config.PUBLIC_URL,
    issuers: [config.ISSUER_URL, ...config.TRUSTED_ISSUERS.map((one) => one.issuer)],
    primitives: orchestratorOffers(deps),
    databaseUrl: config.DATABASE_URL,
    callDays: config.TOOL_CALL_DAYS,
    seesAll: 'orders:read:all',
    api: orchestratorApi(config.ISSUER_URL),
  })
  await doors.start()
  await http.app.listen({ host: config.HOST, port: config.PORT })

  issuer.start(log, () => orderMetrics.keyRotations.inc())
  const sweep = setInterval(() => {
    Promise.all([startForgotten(deps), endFailedRuns({ ...deps, onEnd })]).catch((error: unknown) =>
      log.warn({ err: error }, 'sweep failed'),
    )
  }, sweepMs)
  log.info({ port: config.PORT, claudeMode: model.mode, auth: config.AUTH }, 'ready')

  return {
    stop: async () => {
      clearInterval(sweep)
      issuer.stop()
      draining.abort()
      const timeoutMs = config.DRAIN_SECONDS * 500
      const { endStreams } = doors
      await drained(http, { acceptMs: config.DRAIN_ACCEPT_MS, timeoutMs, endStreams })
      await doors.stop()
      // Together: an order that came in after the engine's end would be stored, but not started.
      await Promise.all([http.app.close(), engine.shutdown(config.DRAIN_SECONDS * 500)])
      await watch.stop()
      await Promise.all(
        [services.order, services.inventory, services.fulfillment].map((s) => s.close()),
      )
      await pool.end()
      await tracing.stop()
      log.info('stopped')
    },
  }
}

function createCallers(config: OrchestratorConfig, issuer: Issuer, metrics: Metrics) {
  const caller = (server: string, url: string) =>
    createMcpCaller({ server, baseUrl: url, authorize: issuer.authorizeFor(url), metrics })
  return {
    order: caller('order', config.ORDER_URL),
    inventory: caller('inventory', config.INVENTORY_URL),
    fulfillment: caller('fulfillment', config.FULFILLMENT_URL),
  }
}

const runRules = (config: OrchestratorConfig): RunRules => ({
  planning: config.PLANNING,
  rulesOnlyLimitCents: config.RULES_ONLY_LIMIT_CENTS,
  patience: {
    roundsMax: config.PATIENCE_ROUNDS_MAX,
    waitMinMs: config.PATIENCE_WAIT_MIN_MS,
    waitMaxMs: config.PATIENCE_WAIT_MAX_MS,
  },
})

function flowSettings(config: OrchestratorConfig, log: Log, metrics: Metrics, model: Model) {
  const retry = {
    attemptsMax: config.STEP_ATTEMPTS_MAX,
    backoffMinMs: config.STEP_BACKOFF_MIN_MS,
    backoffMaxMs: config.STEP_BACKOFF_MAX_MS,
  }
  const decideAgent = agentSettings(config)
  const { PLAN_MODEL: planModel = decideAgent.model, PLAN_EFFORT: effort = decideAgent.effort } =
    config
  return {
    retry,
    agent: { model, metrics, log, retry: modelRetry(config) },
    planAgent: { ...decideAgent, model: planModel, effort },
    decideAgent,
    orderLimitCents: config.ORDER_LIMIT_CENTS,
    deadlines: {
      callMs: config.CALL_TIMEOUT_MS,
      carrierCallMs: config.CARRIER_CALL_TIMEOUT_MS,
      agentCallMs: config.AGENT_CALL_TIMEOUT_MS,
    },
  } satisfies Partial<FlowDeps>
}

function createIdentify(
  config: OrchestratorConfig,
  issuer: Issuer,
  metrics: Metrics,
  admit: Admit,
): Identify {
  if (config.AUTH === 'off') return countRefusals(metrics, identifyLocally(config.PUBLIC_URL))
  return identifyByToken({
    verifyToken: createTokenVerifier({
      issuer: config.ISSUER_URL,
      audience: config.PUBLIC_URL,
      keys: async () => issuer.jwks(),
      trusted: config.TRUSTED_ISSUERS,
    }),
    admit,
    metrics,
  })
}
