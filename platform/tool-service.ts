/**
 * What the services have in common: a database with its migrations, a model, tools behind `/mcp`,
 * and a stop that finishes what runs. A service adds its configuration and its tools.
 */
import { z } from 'zod'
import { createTokenVerifier } from './access-tokens.ts'
import { modelRetry, modelRetryConfig } from './agent-config.ts'
import type { AgentDeps } from './agent-types.ts'
import { baseUrl, claudeConfig, databaseConfig, doorConfig, flag, processConfig } from './config.ts'
import { createPool, type Pool } from './db.ts'
import { mountDoors } from './doors.ts'
import { identifyByToken } from './identify.ts'
import { createLog, type Log } from './log.ts'
import type { Primitives } from './mcp-server.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { migrate, runSqlFile } from './migrate.ts'
import { createModel } from './model.ts'
import { readPrices } from './prices.ts'
import type { RunningProcess } from './process.ts'
import { createRateLimit } from './rate-limit.ts'
import { createHttpProcess, drained } from './service.ts'
import { startTracing } from './tracing.ts'
import { assertNoBoundScopes, trustedIssuers } from './trusted-issuers.ts'

export const toolServiceConfig = claudeConfig
  .extend(processConfig.shape)
  .extend(doorConfig.shape)
  .extend(databaseConfig.shape)
  .extend(modelRetryConfig.shape)
  .extend({
    /** The `iss` of access tokens; without JWKS_URL its keys are at /.well-known/jwks.json there. */
    ISSUER_URL: baseUrl,
    /** Own base URL: the audience that access tokens must carry. */
    RESOURCE_URL: baseUrl,
    /** Where the keys are, when ISSUER_URL is an address for the outside. */
    JWKS_URL: z.url().optional(),
    TRUSTED_ISSUERS: trustedIssuers.default([]),
    /** Loads the demo data once the migrations are done. */
    SEED_DEMO: flag.default(false),
  })
export type ToolServiceConfig = Readonly<z.output<typeof toolServiceConfig>>

export interface ServiceDeps extends AgentDeps {
  readonly pool: Pool
  readonly log: Log
  readonly metrics: Metrics
}

export interface ToolServiceOptions<C extends ToolServiceConfig> {
  readonly name: string
  readonly version: string
  readonly config: C
  readonly migrations: URL
  readonly seed: URL
  readonly offers: (deps: ServiceDeps, config: C) => Primitives
}

/** Starts a service: migrations, demo data, HTTP. Ready once the database answers. */
export async function startToolService<C extends ToolServiceConfig>(
  options: ToolServiceOptions<C>,
): Promise<RunningProcess> {
  const { name, config } = options
  const log = createLog(name, config.LOG_LEVEL)
  const tracing = await startTracing(config, name, log)
  const metrics = createMetrics(name)
  const pool = createPool(
    config.DATABASE_URL,
    config.DATABASE_POOL_MAX,
    log,
    config.DATABASE_TIMEOUT_MS,
  )
  metrics.watchPool('service', pool)
  await migrate(pool, options.migrations)
  if (config.SEED_DEMO) await runSqlFile(pool, options.seed)

  const http = createHttpProcess({ log, metrics, checkReady: () => pool.query('select 1') })
  const model = createModel(config, readPrices(), metrics)
  const deps = { pool, log, metrics, model, retry: modelRetry(config) }
  const primitives = options.offers(deps, config)
  const trusted = config.TRUSTED_ISSUERS
  assertNoBoundScopes(trusted, primitives.tools)
  const verifyToken = createTokenVerifier({
    issuer: config.ISSUER_URL,
    audience: config.RESOURCE_URL,
    keys: new URL(config.JWKS_URL ?? new URL('/.well-known/jwks.json', config.ISSUER_URL)),
    trusted,
  })
  const admit = createRateLimit(config.CLIENT_CALLS_PER_SECOND, config.CLIENT_CALLS_BURST)
  const doors = mountDoors(http.app, {
    ...{ name, pool, log, metrics },
    version: options.version,
    resourceUrl: config.RESOURCE_URL,
    issuers: [config.ISSUER_URL, ...trusted.map((one) => one.issuer)],
    primitives,
    identify: identifyByToken({ verifyToken, admit, metrics }),
    databaseUrl: config.DATABASE_URL,
    callDays: config.TOOL_CALL_DAYS,
  })
  await doors.start()
  await http.app.listen({ host: config.HOST, port: config.PORT })
  log.info({ port: config.PORT, claudeMode: model.mode }, 'ready')

  return {
    stop: async () => {
      const timeoutMs = config.DRAIN_SECONDS * 1_000
      const { endStreams } = doors
      await drained(http, { acceptMs: config.DRAIN_ACCEPT_MS, timeoutMs, endStreams })
      await doors.stop()
      await http.app.close()
      await pool.end()
      await tracing.stop()
      log.info('stopped')
    },
  }
}
