/**
 * Which process a pid really is.
 *
 * The kernel gives the number of an ended process to somebody else, so a remembered pid is only
 * trusted together with the moment its process started.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; equal exactly when it is the same process of the same boot. */
  readonly startedAt: string
}

const psTimeoutMs = 5_000

/** Identifies a running process; undefined when there is none (a zombie counts as ended). */
export function identify(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid)
  return startedAt === undefined ? undefined : { pid, startedAt }
}

/** True while exactly this process runs, not another one that inherited its pid. */
export function isRunning({ pid, startedAt }: ProcessIdentity): boolean {
  return identify(pid)?.startedAt === startedAt
}

/** The command line of a running process, arguments separated by spaces. */
export function commandLine(pid: number): string | undefined {
  if (process.platform !== 'linux') return ps(pid, 'command=')
  return readProc(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() || undefined
}

function startOnLinux(pid: number): string | undefined {
  // proc(5): the name in parentheses may hold anything, so fields are counted after the last ")".
  const fields = readProc(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ')
  const [state, ticksSinceBoot] = [fields?.[0], fields?.[19]]
  if (state === undefined || ticksSinceBoot === undefined || /[ZX]/.test(state)) return undefined
  return `${readProc('/proc/sys/kernel/random/boot_id')?.trim()}:${ticksSinceBoot}`
}

function startByPs(pid: number): string | undefined {
  const [state, ...started] = (ps(pid, 'stat=,lstart=') ?? '').split(/\s+/)
  return state === undefined || state === '' || state.startsWith('Z')
    ? undefined
    : started.join(' ')
}

function ps(pid: number, columns: string): string | undefined {
  try {
    const args = ['-o', columns, '-p', String(pid)]
    return execFileSync('ps', args, {
      encoding: 'utf8',
      timeout: psTimeoutMs,
      stdio: 'pipe',
    }).trim()
  } catch {
    return undefined
  }
}

function readProc(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
