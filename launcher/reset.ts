/** `npm run reset`: removes what `npm start` has stored, so that the next start begins afresh. */
import { clearData } from './clear-data.ts'
import { assertNode, readLauncherConfig } from './config.ts'
import { dataPaths } from './data-dir.ts'
import { LauncherError } from './launcher-error.ts'

try {
  assertNode(process.versions.node)
  const { dataDir, adminDatabaseUrl } = readLauncherConfig(process.env, process.argv.slice(2))
  const paths = dataPaths(dataDir)
  await clearData(paths, adminDatabaseUrl)
  console.log(`Cleared ${paths.root}: the next npm start begins afresh.`)
} catch (error) {
  console.error(error instanceof LauncherError ? error.message : error)
  process.exitCode = 1
}
