/**
 * The whole platform as real processes on this machine: what `npm start` and the system tests run.
 *
 *     lock the data dir ─▶ end leftovers ─▶ check ports ─▶ Postgres ─▶ databases ─▶ processes
 *
 * What was set up is undone in reverse order by `stop()`, and at once when a later part fails.
 */
import { join } from 'node:path'
import { childEnv } from './child-env.ts'
import { type DataPaths, dataPaths, lockDataDir } from './data-dir.ts'
import { createDatabases, type DatabaseUrls } from './databases.ts'
import {
  type EmbeddedPostgres,
  findRunningPostgres,
  startEmbeddedPostgres,
} from './embedded-postgres.ts'
import { Fleet } from './fleet.ts'
import type { ProcessExit } from './managed-process.ts'
import { assertPortsFree, basePorts } from './ports.ts'
import { endLeftovers } from './process-records.ts'
import {
  type ClaudeSetting,
  type ProcessSpec,
  platformSpecs,
  type ServiceReplicas,
} from './process-specs.ts'
import { keepSecret, randomKey } from './secret-file.ts'

export interface PlatformOptions {
  /** Everything that outlives a run is in here; made where it is missing. */
  readonly dataDir: string
  /** Added to every port. Default 0. */
  readonly portOffset?: number
  /** A server to make the databases on, instead of the embedded one. */
  readonly adminDatabaseUrl?: string | undefined
  /** Before each database and role name, for several platforms on one server. Default none. */
  readonly databasePrefix?: string
  /** The embedded server survives a power cut. Default true. */
  readonly durable?: boolean
  readonly claude: ClaudeSetting
  /** The Claude stand-in takes its time. Default false. */
  readonly realistic?: boolean
  /** Replicas of the orchestrator, 1 to 3. Default 1. */
  readonly orchestrators?: number
  /** Replicas of services, 1 to 3 each; `order-2` listens 10 ports above `order`. Default 1. */
  readonly replicas?: ServiceReplicas
  /** Of every process. Default info. */
  readonly logLevel?: string
  /** More environment, by the name of the process. Wins over ours. */
  readonly env?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** How often a process that crashed is started again. Default 0. */
  readonly restartsMax?: number
  /** Other processes than the platform's own. */
  readonly specs?: readonly ProcessSpec[]
  /** Ends a start that is under way. */
  readonly signal?: AbortSignal
  /** Every line a process prints. */
  readonly onLine?: (process: string, line: string) => void
  /** What the launcher is doing. */
  readonly say?: (message: string) => void
}

type ProcessName =
  | 'orchestrator'
  | 'order'
  | 'inventory'
  | 'fulfillment'
  | 'claude-standin'
  | 'carrier-standin'

export interface Platform {
  /** Base URL of each process, by name; replicas are `orchestrator-2`, `order-2` and so on. */
  readonly urls: Readonly<Record<ProcessName, string> & Record<string, string>>
  /** Those that run now. */
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  /** With passwords: never log them. */
  readonly databaseUrls: DatabaseUrls
  /** Undefined on a server of the caller's. */
  readonly postgres: EmbeddedPostgres | undefined
  /** Resolves with the first crash that no restart followed; never in a healthy run. */
  readonly exited: Promise<ProcessExit>
  /** SIGKILL; the process stays down until `start`. */
  kill(name: string): Promise<void>
  /**
   * SIGTERM, SIGKILL after 15 s: how it ended, undefined when it did not run. It stays down until
   * `start`.
   */
  terminate(name: string): Promise<ProcessExit | undefined>
  /** Starts a killed process again on the same port; resolves once it is ready. */
  start(name: string): Promise<void>
  /**
   * Ends everything: SIGTERM, SIGKILL after `graceMs` (default 15 s), then the embedded Postgres.
   * No process is left. Repeating it waits for the same end, and a
   * shorter grace hastens it.
   */
  stop(graceMs?: number): Promise<void>
}

const stopGraceMs = 15_000
const leftoverGraceMs = 5_000

/**
 * Starts the platform and resolves when every process is ready.
 *
 * @throws LauncherError; nothing is left running then.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { say = () => {}, signal = new AbortController().signal } = options
  const specs = options.specs ?? ownSpecs(options)
  const paths = dataPaths(options.dataDir)
  let graceMs = stopGraceMs
  await using undo = new AsyncDisposableStack()

  const unlock = lockDataDir(paths)
  undo.defer(unlock)
  const ended = await endLeftovers(paths.processes, leftoverGraceMs)
  if (ended.length > 0) say(`Ended ${ended.length} processes that an earlier launcher left behind`)
  const patienceMs = ended.length > 0 ? leftoverGraceMs : 0
  await assertPortsFree(neededPorts(options, specs, paths), patienceMs)

  signal.throwIfAborted()
  const postgres = await startPostgres(options, paths, say)
  if (postgres !== undefined) undo.defer(() => postgres.stop())

  signal.throwIfAborted()
  const databaseUrls = await prepareDatabases(options, paths, postgres)
  say('Databases and roles are ready')

  signal.throwIfAborted()
  const fleet = createFleet(options, specs, paths, databaseUrls)
  undo.defer(() => fleet.stopAll(graceMs))
  say(`Starting ${specs.length} processes`)
  await fleet.startAll(signal)

  const running = undo.move()
  let stopped: Promise<void> | undefined
  return {
    urls: Object.fromEntries(
      specs.map(({ name, port }) => [name, `http://127.0.0.1:${port}`]),
    ) as Platform['urls'],
    get processes() {
      return fleet.running
    },
    databaseUrls,
    postgres,
    exited: fleet.exited,
    kill: (name) => fleet.kill(name),
    terminate: (name) => fleet.terminate(name, stopGraceMs),
    start: (name) => fleet.start(name),
    stop: async (grace = stopGraceMs) => {
      graceMs = grace
      if (stopped !== undefined) await fleet.stopAll(grace) // the second caller may be in a hurry
      stopped ??= running.disposeAsync()
      await stopped
    },
  }
}

function ownSpecs(options: PlatformOptions): ProcessSpec[] {
  const { portOffset = 0, orchestrators = 1, replicas = {}, claude } = options
  return platformSpecs({ portOffset, orchestrators, replicas, claudeMode: claude.mode })
}

function neededPorts(
  { adminDatabaseUrl, portOffset = 0 }: PlatformOptions,
  specs: readonly ProcessSpec[],
  { postgres }: DataPaths,
): { name: string; port: number }[] {
  const startsServer = adminDatabaseUrl === undefined && findRunningPostgres(postgres) === undefined
  const server = { name: 'postgres', port: basePorts.postgres + portOffset }
  return startsServer ? [...specs, server] : [...specs]
}

async function startPostgres(
  { adminDatabaseUrl, portOffset = 0, durable = true }: PlatformOptions,
  { postgres }: DataPaths,
  say: (message: string) => void,
): Promise<EmbeddedPostgres | undefined> {
  if (adminDatabaseUrl !== undefined) return undefined
  const port = basePorts.postgres + portOffset
  say('Starting Postgres')
  const server = await startEmbeddedPostgres({ dataDir: postgres, port, durable, say })
  say(`Postgres accepts connections on port ${server.port}`)
  return server
}

function prepareDatabases(
  { adminDatabaseUrl, databasePrefix = '' }: PlatformOptions,
  { secrets }: DataPaths,
  postgres: EmbeddedPostgres | undefined,
): Promise<DatabaseUrls> {
  return createDatabases({
    adminUrl: postgres?.adminUrl ?? adminDatabaseUrl ?? '',
    secretsDir: secrets,
    prefix: databasePrefix,
    ownsServer: postgres !== undefined,
  })
}

function createFleet(
  options: PlatformOptions,
  specs: readonly ProcessSpec[],
  { secrets, carrier, processes }: DataPaths,
  databaseUrls: DatabaseUrls,
): Fleet {
  const keyEncryptionKeyFile = join(secrets, 'key-encryption-key')
  keepSecret(keyEncryptionKeyFile, randomKey)
  const { claude, realistic = false, logLevel = 'info' } = options
  const setup = { databaseUrls, keyEncryptionKeyFile, carrierDir: carrier, claude, realistic }
  return new Fleet({
    specs,
    recordsFile: processes,
    envOf: (spec) => childEnv(spec, setup, logLevel, options.env?.[spec.name]),
    restartsMax: options.restartsMax ?? 0,
    onLine: options.onLine ?? (() => {}),
    say: options.say ?? (() => {}),
  })
}
