/**
 * `npm run keys`, `npm run clients`: runs a command of the orchestrator. With DATABASE_URL in the
 * environment that is left as it is; without, the command is pointed at the platform of `npm start`.
 */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { assertNode, readLauncherConfig } from './config.ts'
import { LauncherError } from './launcher-error.ts'
import { platformEnv } from './platform-env.ts'

try {
  assertNode(process.versions.node)
  const [file = '', ...args] = process.argv.slice(2)
  const main = resolve(import.meta.dirname, '..', file)
  const { status } = spawnSync(process.execPath, [main, ...args], {
    env: { ...process.env, ...found() },
    stdio: 'inherit',
  })
  process.exitCode = status ?? 1
} catch (error) {
  console.error(error instanceof LauncherError ? error.message : error)
  process.exitCode = 1
}

function found(): Readonly<Record<string, string>> {
  const { DATABASE_URL, DATABASE_URL_FILE } = process.env
  if (DATABASE_URL || DATABASE_URL_FILE) return {}
  const { dataDir, adminDatabaseUrl } = readLauncherConfig(process.env, [])
  return platformEnv(dataDir, adminDatabaseUrl)
}
