/** Runs the official suite's command line, and reads what it prints. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { stripVTControlCharacters } from 'node:util'

export const revisions = ['2026-07-28', '2025-11-25'] as const
export type Revision = (typeof revisions)[number]

export interface Scenario {
  readonly name: string
  readonly passed: number
  readonly failed: number
  /** What the suite says of it; it counts a client that crashed, too. */
  readonly ok: boolean
  /** Why it does not count towards the requirements; absent when it does. */
  readonly unscored?: string
}

export interface SuiteRun {
  readonly scenarios: readonly Scenario[]
  /** Every requirement is met, but for what the baseline expects; and all that it expects failed. */
  readonly ok: boolean
  readonly output: string
}

const runMsMax = 300_000
const root = join(import.meta.dirname, '../..')
const suiteFolder = dirname(
  createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'),
)

/** All scenarios that a revision requires of one side, and those it only reports. */
export async function runRequirements(
  revision: Revision,
  args: readonly string[],
): Promise<SuiteRun> {
  const { output, ok } = await runSuite([...args, '--requirements', revision])
  const reasons = await unscoredBy(revision)
  const lines = output.matchAll(/^([✓✗]) (\S+): (\d+) passed, (\d+) failed/gm)
  const scenarios = [...lines].map(([, mark, name = '', passed, failed]): Scenario => {
    const unscored = reasons.get(name)
    const counts = { passed: Number(passed), failed: Number(failed) }
    return { name, ...counts, ok: mark === '✓', ...(unscored && { unscored }) }
  })
  return { scenarios, ok: ok && scenarios.length > 0, output }
}

/** Why a scenario is only reported, by name; a run with a baseline does not say. */
async function unscoredBy(revision: Revision): Promise<Map<string, string>> {
  const { output } = await runSuite(['list', '--requirements', revision])
  const reasons = new Map<string, string>()
  let reason = ''
  for (const line of output.slice(output.indexOf('never scored')).split('\n')) {
    reason = /^ {2}([\w-]+) \(\d+\):$/.exec(line)?.[1] ?? reason
    const name = /^ {4}- (\S+) \[\w+\]$/.exec(line)?.[1]
    if (name !== undefined) reasons.set(name, reason)
  }
  if (reasons.size === 0) throw new Error(`The suite lists its scenarios otherwise:\n${output}`)
  return reasons
}

/** One scenario, at the wire of one revision. */
export async function runScenario(
  name: string,
  revision: Revision,
  args: readonly string[],
): Promise<Scenario> {
  const wanted = ['--scenario', name, '--spec-version', revision]
  const { output, ok } = await runSuite([...args, ...wanted])
  const counts = /^Passed: (\d+)\/\d+, (\d+) failed/m.exec(output)
  if (counts === null) throw new Error(`The suite did not run ${name}:\n${output}`)
  return { name, passed: Number(counts[1]), failed: Number(counts[2]), ok }
}

async function runSuite(args: readonly string[]): Promise<{ output: string; ok: boolean }> {
  const suite = spawn(process.execPath, [join(suiteFolder, 'dist/index.js'), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: runMsMax,
    killSignal: 'SIGKILL',
  })
  const exit = new Promise<number | null>((resolve, reject) => {
    suite.once('error', reject).once('close', resolve)
  })
  const [out, errors, code] = await Promise.all([text(suite.stdout), text(suite.stderr), exit])
  return { output: stripVTControlCharacters(out + errors), ok: code === 0 }
}
