/**
 * The whole platform for a run of chaos: two orchestrators and two of each service as real
 * processes, a proxy of ours on every link between them, an embedded Postgres of its own.
 *
 *     clients ─▶ orchestrator ×2 ─▶ [proxy] ─▶ order ×2, inventory ×2, fulfillment ×2
 *                     └───────────▶ [proxy] ─▶ Claude stand-in ◀─ [proxy] ◀─ services
 *                                              carrier stand-in ◀─ [proxy] ◀─ fulfillment
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Platform, startPlatform } from '../../launcher/platform.ts'
import { basePorts } from '../../launcher/ports.ts'
import { type Backend, type CallProxy, startCallProxy } from './call-proxy.ts'
import { carrierMeanings, describeToolCall, describeTurn } from './meanings.ts'
import { type PostgresServer, postgresServer } from './postgres-server.ts'

export const serviceNames = ['order', 'inventory', 'fulfillment'] as const
export type ServiceName = (typeof serviceNames)[number]
type Database = 'orchestrator' | 'orders' | 'inventory' | 'fulfillment'

export interface StageOptions {
  readonly portOffset: number
  /** Replicas of the orchestrator and of each service, 1 or 2. */
  readonly replicas: number
  /** The proxies send calls to those that are ready, as load balancers do. Default false. */
  readonly watchReadiness?: boolean
  /** More environment: by process name, `service` for every service, `all` for all but stand-ins. */
  readonly env?: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly onLine?: (process: string, line: string) => void
}

export interface Stage extends AsyncDisposable {
  readonly platform: Platform
  /** What clients call: round robin over the orchestrators. */
  readonly front: string
  /** Base URLs of the orchestrators. */
  readonly fronts: readonly string[]
  /** Every link, to be intercepted. */
  readonly links: readonly CallProxy[]
  readonly postgres: PostgresServer
  /** KEY_ENCRYPTION_KEY_FILE of the orchestrators. */
  readonly keyEncryptionKeyFile: string
  /** Rows of a query in one of the databases, as the superuser; asks again while Postgres is away. */
  rows<T extends pg.QueryResultRow>(
    database: Database,
    sql: string,
    values?: unknown[],
  ): Promise<T[]>
  /** A connection of its own, for locks. */
  connect(database: Database): Promise<pg.Client>
  /** Lines that a process must never print: unhandled rejections and the like. */
  readonly screams: readonly string[]
}

const quick = {
  STEP_BACKOFF_MIN_MS: '50',
  STEP_BACKOFF_MAX_MS: '500',
  PATIENCE_WAIT_MIN_MS: '200',
  PATIENCE_WAIT_MAX_MS: '2000',
  MODEL_BACKOFF_MIN_MS: '50',
  MODEL_BACKOFF_MAX_MS: '500',
}
const replicaPortStep = 10
const scream = /unhandled ?rejection|uncaught ?exception|MaxListenersExceeded/i
const queryMs = 20_000
const queryAgainMs = 100

const running = new Set<AsyncDisposableStack>()

/** Ends every stage that runs: for whoever is interrupted. */
export async function endStages(): Promise<void> {
  await Promise.allSettled([...running].map((stage) => stage.disposeAsync()))
}

/** Starts it; disposing it stops everything and removes its data. */
export async function startStage(options: StageOptions): Promise<Stage> {
  const { portOffset, replicas } = options
  await using undo = new AsyncDisposableStack()
  const backends = (name: keyof typeof basePorts, count: number): Backend[] =>
    Array.from({ length: count }, (_, i) => ({
      name: i === 0 ? name : `${name}-${i + 1}`,
      port: basePorts[name] + portOffset + replicaPortStep * i,
    }))
  const proxy = async (settings: Parameters<typeof startCallProxy>[0]) => {
    const started = await startCallProxy(settings)
    undo.use(started)
    return started
  }
  const { watchReadiness = false } = options
  const front = await proxy({ backends: backends('orchestrator', replicas), watchReadiness })
  const services = Object.fromEntries(
    await Promise.all(
      serviceNames.map(async (name) => {
        const own = backends(name, replicas)
        const settings = { backends: own, describe: describeToolCall, watchReadiness }
        return [name, await proxy(settings)] as const
      }),
    ),
  ) as Record<ServiceName, CallProxy>
  const claude = await proxy({ backends: backends('claude-standin', 1), describe: describeTurn })
  const carrier = await proxy({ backends: backends('carrier-standin', 1), ...carrierMeanings() })

  const dataDir = await mkdtemp(join(tmpdir(), 'baton-chaos-'))
  undo.defer(() => rm(dataDir, { recursive: true, force: true }))
  // Postgres runs as another user where we are root, and must reach its files.
  await chmod(dataDir, 0o755)

  const shared = { ISSUER_URL: front.url, CLAUDE_URL: claude.url, ...quick, ...options.env?.all }
  const serviceEnv = (name: ServiceName) => ({
    ...shared,
    RESOURCE_URL: services[name].url,
    ...(name === 'fulfillment' ? { CARRIER_URL: carrier.url } : {}),
    ...options.env?.service,
    ...options.env?.[name],
  })
  const orchestratorEnv = {
    ...shared,
    PUBLIC_URL: front.url,
    ORDER_URL: services.order.url,
    INVENTORY_URL: services.inventory.url,
    FULFILLMENT_URL: services.fulfillment.url,
    ...options.env?.orchestrator,
  }
  const byReplica = (name: string, env: Readonly<Record<string, string>>) =>
    Array.from({ length: replicas }, (_, i) => [i === 0 ? name : `${name}-${i + 1}`, env] as const)
  const screams: string[] = []
  const platform = await startPlatform({
    dataDir,
    portOffset,
    durable: true,
    claude: { mode: 'standin' },
    orchestrators: replicas,
    replicas: { order: replicas, inventory: replicas, fulfillment: replicas },
    logLevel: 'warn',
    env: {
      ...Object.fromEntries([
        ...byReplica('orchestrator', orchestratorEnv),
        ...serviceNames.flatMap((name) => byReplica(name, serviceEnv(name))),
      ]),
      'claude-standin': options.env?.['claude-standin'] ?? {},
      'carrier-standin': options.env?.['carrier-standin'] ?? {},
    },
    onLine: (name, line) => {
      if (scream.test(line)) screams.push(`${name} ${line}`)
      options.onLine?.(name, line)
    },
  })
  undo.defer(() => platform.stop())
  const postgres = postgresServer(platform, dataDir, basePorts.postgres + portOffset)
  const pools = new Map<Database, pg.Pool>()
  undo.defer(async () => {
    await Promise.all([...pools.values()].map((pool) => pool.end()))
  })

  const poolOf = (database: Database): pg.Pool => {
    const known = pools.get(database)
    if (known !== undefined) return known
    const connectionString = postgres.urlOf(database)
    const pool = new pg.Pool({ connectionString, max: 3, connectionTimeoutMillis: 2_000 })
    pool.on('error', () => {}) // Postgres is killed on purpose
    pools.set(database, pool)
    return pool
  }
  const kept = undo.move()
  running.add(kept)
  return {
    platform,
    front: front.url,
    fronts: backends('orchestrator', replicas).map(({ port }) => `http://127.0.0.1:${port}`),
    links: [...Object.values(services), claude, carrier],
    postgres,
    keyEncryptionKeyFile: join(dataDir, 'secrets', 'key-encryption-key'),
    rows: async (database, sql, values = []) => {
      const until = Date.now() + queryMs
      for (;;) {
        try {
          return (await poolOf(database).query(sql, values)).rows
        } catch (error) {
          if (Date.now() > until) throw error
          await new Promise((resolve) => setTimeout(resolve, queryAgainMs))
        }
      }
    },
    connect: async (database) => {
      const client = new pg.Client({ connectionString: postgres.urlOf(database) })
      client.on('error', () => {})
      await client.connect()
      return client
    },
    screams,
    [Symbol.asyncDispose]: async () => {
      running.delete(kept)
      await kept.disposeAsync()
    },
  }
}
