/** The OS user that Postgres runs as: it refuses to run as root, and we may well be root. */
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { LauncherError } from './launcher-error.ts'

export interface ServerUser {
  readonly uid: number
  readonly gid: number
  readonly name: string
}

/**
 * Whom to run the server as; undefined means as ourselves.
 *
 * As root: whoever owns the files of an existing server, or else `postgres`, or else `nobody`.
 *
 * @throws LauncherError `postgres_unusable` when there is no such user.
 */
export function serverUser(existingFiles: string): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = statSync(existingFiles, { throwIfNoEntry: false })
  if (owner !== undefined && owner.uid !== 0) {
    return { uid: owner.uid, gid: owner.gid, name: nameOf(owner.uid) }
  }
  const known = users()
  const user = ['postgres', 'nobody'].flatMap((name) => known.filter((u) => u.name === name))[0]
  if (user !== undefined) return user
  throw new LauncherError(
    'postgres_unusable',
    'Postgres refuses to run as root, and this machine has no user "postgres" or "nobody". ' +
      'Start Baton as another user, or set ADMIN_DATABASE_URL to a Postgres 17 of your own.',
  )
}

/** True when that user can reach a folder through all of its parents. */
export function canEnter(folder: string, user: ServerUser): boolean {
  const { uid, gid } = user
  const args = ['-c', 'cd "$1"', 'sh', folder]
  return spawnSync('/bin/sh', args, { uid, gid, cwd: '/', stdio: 'ignore' }).status === 0
}

function nameOf(uid: number): string {
  return users().find((user) => user.uid === uid)?.name ?? `user ${uid}`
}

function users(): ServerUser[] {
  return readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length > 3)
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
}
