/** Makes the files of a new Postgres server (initdb calls them a cluster). */
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { LauncherError } from './launcher-error.ts'
import type { Binaries } from './native-binaries.ts'
import type { ServerUser } from './server-user.ts'

/** One server: its programs, the OS user it runs as (undefined: we), and where its files are. */
export interface Server {
  readonly binaries: Binaries
  readonly user: ServerUser | undefined
  readonly files: string
  readonly cluster: string
}

export const adminUser = 'postgres'
const initdbTimeoutMs = 120_000

/**
 * Makes the cluster where it is missing; only passwords let anybody in.
 *
 * Made beside and then renamed, so that a crash in the middle leaves nothing half made.
 *
 * @throws LauncherError `data_dir_unusable` when another version of Postgres made the cluster,
 * `postgres_unusable` when initdb fails.
 */
export async function makeCluster(
  server: Server,
  password: string,
  say: (message: string) => void,
): Promise<void> {
  const { binaries, cluster } = server
  if (!existsSync(cluster)) {
    say('Making a new Postgres cluster')
    await initdb(server, `${cluster}.new`, password)
    return renameSync(`${cluster}.new`, cluster)
  }
  const version = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim()
  if (version === binaries.majorVersion) return
  throw new LauncherError(
    'data_dir_unusable',
    `${cluster} was made by Postgres ${version}, and this is ${binaries.majorVersion}. ` +
      'Set another DATA_DIR, or start afresh: npm run reset.',
  )
}

async function initdb(
  { binaries, user, files }: Server,
  folder: string,
  password: string,
): Promise<void> {
  const passwordFile = join(files, 'password.new')
  rmSync(folder, { recursive: true, force: true })
  rmSync(passwordFile, { force: true })
  try {
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' })
    if (user !== undefined) chownSync(passwordFile, user.uid, user.gid)
    const settings = ['-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C', '--no-instructions']
    const args = ['-D', folder, '-U', adminUser, '--pwfile', passwordFile, ...settings]
    const options = { user, timeoutMs: initdbTimeoutMs }
    const { code, output } = await runCommand(binaries.initdb, args, options)
    if (code !== 0) throw new LauncherError('postgres_unusable', `initdb failed: ${output}`)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}
