/** The platform with two orchestrators, and Prometheus and Alertmanager that watch it. */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Platform, startPlatform } from '../../launcher/platform.ts'
import { type Alertmanager, startAlertmanager } from './alertmanager.ts'
import { type Prometheus, startPrometheus } from './prometheus.ts'

export interface Stage extends AsyncDisposable {
  readonly platform: Platform
  readonly orchestrators: readonly string[]
  readonly prometheus: Prometheus
  readonly alertmanager: Alertmanager
  /** Runs a statement in the inventory's or the orchestrator's database. */
  sql(database: 'inventory' | 'orchestrator', text: string): Promise<Record<string, unknown>[]>
}

const portOffset = 22_500
const prometheusPort = 9_090 + portOffset
const alertmanagerPort = 9_093 + portOffset

const quick = {
  STEP_BACKOFF_MIN_MS: '50',
  STEP_BACKOFF_MAX_MS: '500',
  PATIENCE_WAIT_MIN_MS: '200',
  PATIENCE_WAIT_MAX_MS: '2000',
  MODEL_BACKOFF_MIN_MS: '50',
  MODEL_BACKOFF_MAX_MS: '500',
}
/** So few orders at once that some must queue when a service is away. */
const fewAtOnce = { IN_FLIGHT_MAX: '8' }
/** So that orders are in flight at a scrape and curves are not flat. */
const latencies = { LATENCY_HAIKU_MS: '60', LATENCY_SONNET_MS: '150', LATENCY_OPUS_MS: '300' }
const services = ['orchestrator', 'orchestrator-2', 'order', 'inventory', 'fulfillment'] as const

/** Starts all of it; an abort of `signal` ends a start that is under way. */
export async function startStage(signal: AbortSignal): Promise<Stage> {
  await using undo = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'baton-observability-'))
  undo.defer(() => rm(dir, { recursive: true, force: true }))
  // Postgres runs as another user where we are root, and must reach its files.
  await chmod(dir, 0o755)
  const platform = await startPlatform({
    dataDir: join(dir, 'platform'),
    portOffset,
    durable: false,
    claude: { mode: 'standin' },
    orchestrators: 2,
    logLevel: 'warn',
    signal,
    env: {
      ...Object.fromEntries(services.map((name) => [name, { ...quick, ...fewAtOnce }])),
      'claude-standin': latencies,
    },
  })
  undo.defer(() => platform.stop())
  const alertmanager = undo.use(await startAlertmanager(dir, alertmanagerPort))
  const targets = services.map((name) => ({
    service: name.replace('-2', ''),
    address: new URL(platform.urls[name] ?? '').host,
  }))
  const prometheus = undo.use(
    await startPrometheus({ dir, port: prometheusPort, alertmanagerPort, targets }),
  )
  const running = undo.move()
  return {
    platform,
    prometheus,
    alertmanager,
    orchestrators: [platform.urls.orchestrator, platform.urls['orchestrator-2'] ?? ''],
    sql: async (database, text) => {
      const client = new pg.Client({ connectionString: platform.databaseUrls[database] })
      await client.connect()
      try {
        return (await client.query(text)).rows
      } finally {
        await client.end()
      }
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
