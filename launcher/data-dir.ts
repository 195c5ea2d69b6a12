/** What the launcher keeps in DATA_DIR, and the lock that gives a data dir to one launcher. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { LauncherError } from './launcher-error.ts'
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts'

export interface DataPaths {
  readonly root: string
  /** The embedded server: its password file and its cluster. */
  readonly postgres: string
  /** Passwords and keys, each in a file only the owner can read. */
  readonly secrets: string
  /** The book of the carrier stand-in. */
  readonly carrier: string
  readonly processes: string
  readonly lock: string
}

const takeoversMax = 5

/** The paths inside a data dir, absolute. Makes nothing. */
export function dataPaths(dataDir: string): DataPaths {
  const root = resolve(dataDir)
  return {
    root,
    postgres: join(root, 'postgres'),
    secrets: join(root, 'secrets'),
    carrier: join(root, 'carrier'),
    processes: join(root, 'processes.json'),
    lock: join(root, 'launcher.lock'),
  }
}

/**
 * Makes the data dir where it is missing and takes its lock for this process.
 *
 * The lock of a launcher that was killed is taken over. Returns what releases it.
 *
 * @throws LauncherError `data_dir_locked` while another launcher lives, `data_dir_unusable` when
 * the folder cannot be written.
 */
export function lockDataDir({ root, secrets, carrier, lock }: DataPaths): () => void {
  try {
    mkdirSync(root, { recursive: true })
    mkdirSync(secrets, { recursive: true, mode: 0o700 })
    mkdirSync(carrier, { recursive: true })
    return takeLock(root, lock)
  } catch (error) {
    if (error instanceof LauncherError) throw error
    throw new LauncherError(
      'data_dir_unusable',
      `Cannot use ${root} as data dir: ${(error as Error).message}. Set DATA_DIR to a folder you own.`,
      error,
    )
  }
}

function takeLock(root: string, lock: string): () => void {
  const own = `${lock}.${process.pid}`
  const content = JSON.stringify(identify(process.pid) ?? { pid: process.pid, startedAt: '' })
  writeFileSync(own, content, { mode: 0o600 })
  try {
    for (let attempt = 1; attempt <= takeoversMax; attempt += 1) {
      if (tryLink(own, lock)) return () => releaseLock(lock, content)
      const held = readText(lock)
      if (held !== undefined) assertStale(root, held)
      if (held !== undefined) removeStale(lock, held)
    }
  } finally {
    rmSync(own, { force: true })
  }
  throw new LauncherError('data_dir_locked', `Several launchers want ${root} at once. Try again.`)
}

/** A hard link appears with its content or not at all, and only one process can make it. */
function tryLink(own: string, lock: string): boolean {
  try {
    linkSync(own, lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function assertStale(root: string, held: string): void {
  const holder = parseIdentity(held)
  if (holder === undefined || !isRunning(holder)) return
  throw new LauncherError(
    'data_dir_locked',
    `Baton already runs on ${root} (process ${holder.pid}). Stop it first, or start another one ` +
      'beside it: DATA_DIR=.data-2 PORT_OFFSET=10000 npm start',
  )
}

/** Two launchers may find the same stale lock: whoever moved away a newer one puts it back. */
function removeStale(lock: string, held: string): void {
  const aside = `${lock}.${process.pid}.stale`
  try {
    renameSync(lock, aside)
  } catch {
    return // somebody else was faster; look again
  }
  if (readText(aside) !== held) tryLink(aside, lock)
  rmSync(aside, { force: true })
}

function releaseLock(lock: string, content: string): void {
  if (readText(lock) === content) rmSync(lock, { force: true })
}

function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const { pid, startedAt } = JSON.parse(text) as Partial<ProcessIdentity>
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : undefined
  } catch {
    return undefined
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
