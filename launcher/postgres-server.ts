/**
 * The server process of one cluster: is it running, start it, stop it.
 *
 * What a cluster's postmaster.pid says is only believed when the process it names really is the
 * server of that cluster: after a reboot its pid may be anybody's.
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { LauncherError } from './launcher-error.ts'
import type { Server } from './postgres-cluster.ts'
import { commandLine } from './process-identity.ts'

export interface RunningServer {
  readonly pid: number
  readonly port: number
}

export interface StartSettings {
  readonly port: number
  readonly durable: boolean
}

/** Why it is not up; `final` when waiting cannot help. */
export interface StartProblem {
  readonly text: string
  readonly final: boolean
}

export const startTimeoutMs = 60_000
const stopTimeoutMs = 30_000
const commandGraceMs = 5_000
const logTailChars = 2_000
const logBytesMax = 10_000_000
/** Above the largest pid that any of our systems hands out. */
const nobodysPid = 99_999_999

/** The running server of a cluster, or undefined. */
export function findServer(cluster: string): RunningServer | undefined {
  const [pid, folder, , port] = readPidFile(cluster)
  if (!runsOn(Number(pid), folder)) return undefined
  return { pid: Number(pid), port: Number(port) }
}

/** Starts the server as a daemon and waits until it accepts connections. Undefined = it runs. */
export async function startServer(
  { binaries, user, files, cluster }: Server,
  settings: StartSettings,
): Promise<StartProblem | undefined> {
  const log = join(files, 'server.log')
  if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) rmSync(log)
  disownPidFile(cluster)
  const options = Object.entries(serverOptions(settings)).map(([k, v]) => `-c ${k}=${v}`)
  const seconds = String(startTimeoutMs / 1_000)
  const args = ['-D', cluster, '-l', log, '-w', '-t', seconds, '-o', options.join(' '), 'start']
  const timeoutMs = startTimeoutMs + commandGraceMs
  const { code } = await runCommand(binaries.pgCtl, args, { user, timeoutMs, leavesDaemon: true })
  if (code === 0) return undefined
  const text = existsSync(log) ? readFileSync(log, 'utf8').slice(-logTailChars) : 'it left no log'
  // After a kill -9 of the server its last backends need a moment to notice.
  return { text, final: !/pre-existing shared memory block/.test(text) }
}

/**
 * Disconnects everybody and stops the server within 30 s; `immediate` is a crash on purpose.
 *
 * Repeating it changes nothing. A fast stop that does not get through becomes an immediate one:
 * nothing that was committed is lost, the next start recovers it.
 */
export async function stopServer(server: Server, mode: 'fast' | 'immediate'): Promise<void> {
  const { binaries, user, cluster } = server
  if (findServer(cluster) === undefined) return
  const args = ['-D', cluster, '-m', mode, '-w', '-t', String(stopTimeoutMs / 1_000), 'stop']
  const timeoutMs = stopTimeoutMs + commandGraceMs
  const { code, output } = await runCommand(binaries.pgCtl, args, { user, timeoutMs })
  if (code === 0 || findServer(cluster) === undefined) return
  if (mode === 'fast') return stopServer(server, 'immediate')
  throw new LauncherError('postgres_unusable', `Postgres did not stop: ${output}`)
}

function serverOptions({ port, durable }: StartSettings): Record<string, string | number> {
  const options = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: "''", // none
    max_connections: 200,
    shared_buffers: '128MB',
    huge_pages: 'off', // reserved but forbidden ones end the server in some containers
    timezone: 'UTC',
  }
  if (durable) return options
  return { ...options, fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }
}

/**
 * Postgres refuses to start when the pid in the file is alive, whoever that is by now.
 *
 * We put in a pid that nobody has and keep the rest: its shared memory key still tells Postgres
 * about backends that outlived their server.
 */
function disownPidFile(cluster: string): void {
  const [pid, folder, ...rest] = readPidFile(cluster)
  if (pid === undefined || folder === undefined || runsOn(Number(pid), folder)) return
  writeFileSync(join(cluster, 'postmaster.pid'), [nobodysPid, folder, ...rest].join('\n'))
}

/** Line 1 is the pid, 2 the folder of the cluster, 4 the port. */
function readPidFile(cluster: string): string[] {
  const file = join(cluster, 'postmaster.pid')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
}

function runsOn(pid: number, folder: string | undefined): boolean {
  return commandLine(pid)?.includes(`-D ${folder} `) === true
}
