/** Ends what a killed launcher left running and removes what a data dir holds. */
import { readdirSync, rmdirSync, rmSync } from 'node:fs'
import { type DataPaths, lockDataDir } from './data-dir.ts'
import { dropDatabases } from './databases.ts'
import { stopLeftoverPostgres } from './embedded-postgres.ts'
import { endLeftovers } from './process-records.ts'
import { removeServerFiles } from './server-files.ts'

const leftoverGraceMs = 5_000

/**
 * Clears a data dir; with `adminDatabaseUrl` drops our databases and roles there, too.
 *
 * Only what the launcher itself makes is removed, so that a DATA_DIR set to the wrong folder costs
 * nobody a file; the folder goes when it is empty then. Repeating it is harmless.
 *
 * @throws LauncherError `data_dir_locked` while a launcher runs on it; nothing is removed then.
 */
export async function clearData(paths: DataPaths, adminDatabaseUrl?: string): Promise<void> {
  const unlock = lockDataDir(paths)
  try {
    await endLeftovers(paths.processes, leftoverGraceMs)
    await stopLeftoverPostgres(paths.postgres)
    if (adminDatabaseUrl !== undefined) await dropDatabases(adminDatabaseUrl)
    removeServerFiles(paths.postgres)
    for (const path of [paths.secrets, paths.carrier, paths.processes]) {
      rmSync(path, { recursive: true, force: true })
    }
  } finally {
    unlock()
  }
  if (readdirSync(paths.root).length === 0) rmdirSync(paths.root)
}
