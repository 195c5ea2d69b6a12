/** Where the orchestrator of `npm start` keeps its data, for a command that works on it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { dataPaths } from './data-dir.ts'
import { knownDatabaseUrl } from './databases.ts'
import { findRunningPostgres } from './embedded-postgres.ts'
import { LauncherError } from './launcher-error.ts'

/**
 * DATABASE_URL and KEY_ENCRYPTION_KEY_FILE of the orchestrator whose data are in `dataDir`. Makes
 * and starts nothing.
 *
 * @throws LauncherError `platform_not_found`, which says what to do.
 */
export function platformEnv(
  dataDir: string,
  adminDatabaseUrl: string | undefined,
): Readonly<Record<string, string>> {
  const { root, postgres, secrets } = dataPaths(dataDir)
  const serverUrl = adminDatabaseUrl ?? embeddedUrl(postgres)
  const keyFile = join(secrets, 'key-encryption-key')
  const databaseUrl =
    serverUrl === undefined ? undefined : knownDatabaseUrl(serverUrl, secrets, 'orchestrator')
  if (databaseUrl === undefined || !existsSync(keyFile)) throw notFound(root)
  return { DATABASE_URL: databaseUrl, KEY_ENCRYPTION_KEY_FILE: keyFile }
}

function embeddedUrl(postgresDir: string): string | undefined {
  const running = findRunningPostgres(postgresDir)
  return running && `postgres://127.0.0.1:${running.port}/`
}

const notFound = (root: string) =>
  new LauncherError(
    'platform_not_found',
    `No platform runs on ${root}. Either start it (npm start) and try again, with the same DATA_DIR ` +
      'and ADMIN_DATABASE_URL, or set DATABASE_URL and KEY_ENCRYPTION_KEY (or _FILE) to those of ' +
      'the orchestrator.',
  )
