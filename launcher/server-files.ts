/**
 * Where the embedded server keeps its files: in the data dir, unless its user cannot get there.
 *
 * A checkout under /root is the usual case: root starts Baton, Postgres runs as `postgres`, and
 * /root is closed to it. Then `files` in the data dir is a link to a folder under /var/lib/baton,
 * which remembers whose it is.
 */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { LauncherError } from './launcher-error.ts'
import { canEnter, type ServerUser } from './server-user.ts'

/** Outlives a reboot and is never cleaned by the system, unlike /tmp and /var/tmp. */
const elsewhere = '/var/lib/baton'
const ownerFile = 'belongs-to'

/** The name under which a data dir knows the server's files. */
export const serverFilesLink = (dataDir: string): string => join(dataDir, 'files')

/**
 * Makes the folder of the server's files where it is missing and returns its real path.
 *
 * @throws LauncherError `data_dir_unusable` when the files belong to another data dir or user.
 */
export function prepareServerFiles(
  dataDir: string,
  user: ServerUser | undefined,
  say: (message: string) => void,
): string {
  const link = serverFilesLink(dataDir)
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) {
    makeFolder(link, user)
    if (user !== undefined && !canEnter(link, user)) {
      rmdirSync(link)
      symlinkSync(makeFolderElsewhere(dataDir, user), link)
      say(`${user.name} cannot reach ${dataDir}: Postgres keeps its files in ${readlinkSync(link)}`)
    }
  }
  assertUsable(dataDir, link, user)
  return realpathSync(link)
}

/** Removes the server's files, and those elsewhere when they are ours. Stop the server first. */
export function removeServerFiles(dataDir: string): void {
  const link = serverFilesLink(dataDir)
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink()) {
    if (ownerOf(readlinkSync(link)) === realpathSync(dataDir)) {
      rmSync(readlinkSync(link), { recursive: true, force: true })
    }
  }
  rmSync(dataDir, { recursive: true, force: true })
}

function makeFolderElsewhere(dataDir: string, user: ServerUser): string {
  try {
    mkdirSync(elsewhere, { recursive: true })
    chmodSync(elsewhere, 0o755) // whatever the umask made of it
    const folder = mkdtempSync(join(elsewhere, 'postgres-'))
    writeFileSync(join(folder, ownerFile), realpathSync(dataDir))
    chownSync(folder, user.uid, user.gid)
    if (canEnter(folder, user)) return folder
    rmSync(folder, { recursive: true, force: true })
  } catch (error) {
    throw unusable(dataDir, user, error)
  }
  throw unusable(dataDir, user)
}

function makeFolder(folder: string, user: ServerUser | undefined): void {
  mkdirSync(folder, { mode: 0o700 })
  if (user !== undefined) chownSync(folder, user.uid, user.gid)
}

function assertUsable(dataDir: string, link: string, user: ServerUser | undefined): void {
  const files = statSync(link, { throwIfNoEntry: false })
  if (files === undefined) {
    throw new LauncherError(
      'data_dir_unusable',
      `The files of Postgres are gone: ${link} leads to ${readlinkSync(link)}. Run npm run reset.`,
    )
  }
  const owner = lstatSync(link).isSymbolicLink() ? ownerOf(readlinkSync(link)) : undefined
  if (owner !== undefined && owner !== realpathSync(dataDir)) {
    throw new LauncherError(
      'data_dir_unusable',
      `${dataDir} is a copy of ${owner}, or was moved: its Postgres files are still the other's. ` +
        'Run npm run reset to start afresh here; the other one keeps its data.',
    )
  }
  if (user === undefined && process.getuid !== undefined && files.uid !== process.getuid()) {
    throw new LauncherError(
      'data_dir_unusable',
      `${link} belongs to user ${files.uid}: Baton was started here as root before. Start it as ` +
        'root again, set another DATA_DIR, or clear it as root: npm run reset.',
    )
  }
  if (user !== undefined && !canEnter(realpathSync(link), user)) throw unusable(dataDir, user)
}

function unusable(dataDir: string, user: ServerUser, cause?: unknown): LauncherError {
  return new LauncherError(
    'data_dir_unusable',
    `Postgres runs as ${user.name} (it refuses root), who cannot reach ${dataDir}. Set DATA_DIR to ` +
      'a folder that everybody can enter, such as /var/tmp/baton, or start Baton as another user.',
    cause,
  )
}

function ownerOf(folder: string): string {
  try {
    return readFileSync(join(folder, ownerFile), 'utf8')
  } catch {
    return ''
  }
}
