/**
 * `npm test`: starts one Postgres, runs node:test over the wanted files, ends everything.
 *
 *     npm test                                   all of test/
 *     npm test -- test/launcher                  a folder, a file or a glob
 *     npm test -- --test-name-pattern=stock      other flags go to node
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { assertNode } from '../../launcher/config.ts'
import { startEmbeddedPostgres } from '../../launcher/embedded-postgres.ts'
import { signalGroup } from '../../launcher/process-records.ts'
import { watchNpm } from '../../launcher/stop-signals.ts'
import { freePort } from './free-port.ts'
import { findTestFiles } from './test-files.ts'
import { clearAbandonedRuns, clearRunDir, makeRunDir } from './work-dir.ts'

const concurrency = 2
const testTimeoutMs = 120_000
const runTimeoutMs = 30 * 60_000
const killGraceMs = 10_000

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => interrupted.abort(new Error(`interrupted by ${name}`)))
}
watchNpm(process.env, () => interrupted.abort(new Error('npm has ended')))
try {
  assertNode(process.versions.node)
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

async function run(args: readonly string[]): Promise<number> {
  const files = findTestFiles(args.filter((arg) => !arg.startsWith('--')))
  const flags = args.filter((arg) => arg.startsWith('--'))
  await clearAbandonedRuns()
  const runDir = makeRunDir()
  try {
    const dataDir = join(runDir.path, 'postgres')
    const postgres = await startEmbeddedPostgres({
      dataDir,
      port: await freePort(),
      durable: false,
    })
    const env = { TEST_ADMIN_DATABASE_URL: postgres.adminUrl, TEST_RUN_DIR: runDir.path }
    return await runTests([...flags, ...files], env)
  } finally {
    runDir.unlock()
    await clearRunDir(runDir.path) // stops Postgres, and whatever a test left running
  }
}

async function runTests(args: readonly string[], env: Record<string, string>): Promise<number> {
  interrupted.signal.throwIfAborted()
  const options = [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${testTimeoutMs}`,
    // A test that timed out would keep its process, and so the whole run, for ever.
    `--import=${new URL('./end-when-done.ts', import.meta.url).href}`,
  ]
  // Its own group: an interrupt reaches us only, and we can end everything it has started.
  const tests = spawn(process.execPath, [...options, ...args], {
    env: { ...process.env, ...env },
    stdio: 'inherit',
    detached: true,
  })
  const ended = once(tests, 'exit')
  const stop = new AbortController()
  const late = delay(runTimeoutMs, 'late', { signal: stop.signal }).catch(() => {})
  const interrupt = once(interrupted.signal, 'abort', { signal: stop.signal }).catch(() => {})
  await Promise.race([ended, late, interrupt])
  stop.abort()
  return endTests(tests, ended)
}

/** The exit code of the tests; 1 when they had to be ended. Nothing of their group survives. */
async function endTests(tests: ChildProcess, ended: Promise<unknown[]>): Promise<number> {
  if (tests.pid === undefined) return 1
  if (tests.exitCode === null && tests.signalCode === null) {
    console.error('Ending the tests: interrupted, or over the time limit of a run')
    signalGroup(tests.pid, 'SIGTERM')
    await Promise.race([ended, delay(killGraceMs, undefined, { ref: false })])
  }
  signalGroup(tests.pid, 'SIGKILL')
  await ended
  return tests.exitCode ?? 1
}
