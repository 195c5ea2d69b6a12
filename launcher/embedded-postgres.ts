/**
 * A real Postgres 17 from the binaries that npm installed, for `npm start` and `npm test`.
 *
 *     <dataDir>/admin-password      0600; the superuser's, made once
 *     <dataDir>/files/cluster/      what initdb makes (`files` may be a link, see server-files.ts)
 *     <dataDir>/files/server.log
 *
 * The server is a daemon: it survives a `kill -9` of whoever started it, and the next start adopts
 * it. Postgres itself keeps two servers off one cluster.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { LauncherError } from './launcher-error.ts'
import { findBinaries } from './native-binaries.ts'
import { adminUser, makeCluster, type Server } from './postgres-cluster.ts'
import {
  findServer,
  type RunningServer,
  type StartProblem,
  startServer,
  startTimeoutMs,
  stopServer,
} from './postgres-server.ts'
import { keepSecret, randomPassword } from './secret-file.ts'
import { prepareServerFiles, serverFilesLink } from './server-files.ts'
import { serverUser } from './server-user.ts'

export interface EmbeddedPostgresOptions {
  /** Made where it is missing. */
  readonly dataDir: string
  /** For a new start; an adopted server keeps the port it has. */
  readonly port: number
  /** Default true. False switches fsync off: faster, and a power cut may destroy the data. */
  readonly durable?: boolean
  readonly say?: (message: string) => void
}

export interface EmbeddedPostgres {
  /** Holds the superuser's password: never log it. */
  readonly adminUrl: string
  readonly port: number
  readonly pid: number
  /** True when the server was running already. */
  readonly adopted: boolean
  /** Disconnects everybody and stops the server, within 30 s. Repeating it changes nothing. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

const pollMs = 100
const connectTimeoutMs = 5_000

/**
 * Starts the server of a data dir, makes it where it is missing, or adopts the one that runs.
 *
 * @throws LauncherError `postgres_unusable` (no binaries that run, or the end of the server's
 * log), `data_dir_unusable`.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { dataDir, port, durable = true, say = () => {} } = options
  mkdirSync(dataDir, { recursive: true })
  const server = await prepareServer(dataDir, say)
  const password = keepSecret(join(dataDir, 'admin-password'), randomPassword)
  await makeCluster(server, password, say)

  const adopted = findServer(server.cluster) !== undefined
  const running = await untilAccepting(server, password, { port, durable })
  if (adopted) say(`Postgres was still running on port ${running.port}: adopted`)
  return {
    ...running,
    adopted,
    adminUrl: adminUrl(running.port, password),
    stop: (mode = 'fast') => stopServer(server, mode),
  }
}

/** The server of a data dir, if it runs: its pid and port. */
export function findRunningPostgres(dataDir: string): RunningServer | undefined {
  return findServer(join(serverFilesLink(dataDir), 'cluster'))
}

/** Stops the server that a killed launcher left running. True when there was one. */
export async function stopLeftoverPostgres(dataDir: string): Promise<boolean> {
  if (findRunningPostgres(dataDir) === undefined) return false
  await stopServer(await prepareServer(dataDir, () => {}), 'fast')
  return true
}

async function prepareServer(dataDir: string, say: (message: string) => void): Promise<Server> {
  const user = serverUser(serverFilesLink(dataDir))
  const binaries = await findBinaries(user)
  const files = prepareServerFiles(dataDir, user, say)
  return { binaries, user, files, cluster: join(files, 'cluster') }
}

/** Starts it where it does not run, then waits until it lets us in: a recovery takes a while. */
async function untilAccepting(
  server: Server,
  password: string,
  settings: { port: number; durable: boolean },
): Promise<RunningServer> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    const running = findServer(server.cluster)
    const problem =
      running === undefined
        ? await startServer(server, settings)
        : await connectProblem(adminUrl(running.port, password))
    if (running !== undefined && problem === undefined) return running
    if (Date.now() > deadline || problem?.final === true) {
      throw new LauncherError('postgres_unusable', `Postgres did not start: ${problem?.text}`)
    }
    if (problem !== undefined) await delay(pollMs)
  }
}

async function connectProblem(url: string): Promise<StartProblem | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: connectTimeoutMs })
  client.on('error', () => {}) // the answer below says it
  try {
    await client.connect()
    return undefined
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    const isWrongPassword = code === '28P01'
    const hint = isWrongPassword ? ': its admin-password file was replaced; npm run reset' : ''
    return { text: `${message}${hint}`, final: isWrongPassword }
  } finally {
    await client.end().catch(() => {})
  }
}

function adminUrl(port: number, password: string): string {
  return `postgres://${adminUser}:${password}@127.0.0.1:${port}/postgres`
}
