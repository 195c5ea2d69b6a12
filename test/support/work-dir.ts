/**
 * Folders of a test run: one per run, and in it one per test that wants one.
 *
 * Each is laid out as a data dir, so that the runner can end whatever a test left running in it
 * and remove it, even after the tests themselves were killed.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clearData } from '../../launcher/clear-data.ts'
import { dataPaths, lockDataDir } from '../../launcher/data-dir.ts'
import { LauncherError } from '../../launcher/launcher-error.ts'

const prefix = join(tmpdir(), 'baton-test-')

/** A fresh, empty data dir for one test. The runner removes it at the end of the run. */
export function testDir(): string {
  const runDir = process.env.TEST_RUN_DIR
  if (runDir === undefined) throw new Error('Run it through npm test -- <file>')
  return openDir(join(runDir, 'tests', 'dir-'))
}

/** For the runner: the folder of this run, locked, so that no other run takes it for abandoned. */
export function makeRunDir(): { readonly path: string; readonly unlock: () => void } {
  const path = openDir(prefix)
  mkdirSync(join(path, 'tests'))
  return { path, unlock: lockDataDir(dataPaths(path)) }
}

/** Ends what runs in an unlocked run folder and removes it. */
export async function clearRunDir(path: string): Promise<void> {
  lockDataDir(dataPaths(path))() // refuses while its runner lives
  const tests = join(path, 'tests')
  for (const name of readdirSync(tests)) await clearData(dataPaths(join(tests, name)))
  await clearData(dataPaths(path))
  rmSync(path, { recursive: true, force: true })
}

/** Clears the folders of runs that were killed. Those of a living run stay. */
export async function clearAbandonedRuns(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const path = join(tmpdir(), name)
    if (!path.startsWith(prefix)) continue
    await clearRunDir(path).catch((error: unknown) => {
      const isForeign = (error as NodeJS.ErrnoException).code === 'EACCES'
      if (!(error instanceof LauncherError) && !isForeign) throw error
    })
  }
}

/** The user that Postgres runs as must get through it; mkdtemp alone would shut everybody out. */
function openDir(pathPrefix: string): string {
  const path = mkdtempSync(pathPrefix)
  chmodSync(path, 0o755)
  return path
}
