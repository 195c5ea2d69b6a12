/** What is put to the suite: the fixtures and our client for all requirements, our servers for the rest. */
import { readBaseline } from './expected-failures.ts'
import { startFixtureApp } from './fixture-app.ts'
import { type ServerName, serverNames, startFourServers } from './four-servers.ts'
import { type Revision, revisions, runRequirements, runScenario, type Scenario } from './suite.ts'

export interface RequirementsRun {
  readonly side: 'server' | 'client'
  readonly revision: Revision
  readonly scenarios: readonly Scenario[]
  readonly ok: boolean
  /** What the suite printed, for whoever must find out why. */
  readonly output: string
  readonly expected: ReadonlyMap<string, string>
}

export interface ServiceRun {
  readonly server: ServerName
  readonly revision: Revision
  readonly scenarios: readonly Scenario[]
}

export const clientCommand = 'node_modules/.bin/node test/conformance/client/main.ts'

/** Scenarios that need nothing of the suite's own on the server. */
const fixtureFree: Readonly<Record<Revision, readonly string[]>> = {
  '2026-07-28': [
    'server-stateless',
    'server-sse-multiple-streams',
    'tools-list',
    'resources-list',
    'prompts-list',
    'caching',
    'http-header-validation',
    'sep-2164-resource-not-found',
    'input-required-result-unsupported-methods',
    'dns-rebinding-protection',
  ],
  '2025-11-25': [
    'server-initialize',
    'ping',
    'tools-list',
    'resources-list',
    'prompts-list',
    'dns-rebinding-protection',
  ],
}

export type Say = (line: string) => void

/** All that each revision requires of a server, of the fixtures behind our wiring. */
export async function runFixtures(say: Say): Promise<RequirementsRun[]> {
  await using app = await startFixtureApp()
  const runs: RequirementsRun[] = []
  for (const revision of revisions) {
    const args = ['server', '--url', `${app.url}/mcp`]
    // The 2026 requirements have no baseline: all of them pass.
    const baseline = revision === '2025-11-25' ? readBaseline(revision) : undefined
    if (baseline !== undefined) args.push('--expected-failures', baseline.path)
    const expected = baseline?.reasons ?? new Map<string, string>()
    const run = await runRequirements(revision, args)
    runs.push(told({ side: 'server', revision, ...run, expected }, say))
  }
  return runs
}

/** All that each revision requires of a client, of ours. */
export async function runClient(say: Say): Promise<RequirementsRun[]> {
  const runs: RequirementsRun[] = []
  for (const revision of revisions) {
    const run = await runRequirements(revision, ['client', '--command', clientCommand])
    runs.push(told({ side: 'client', revision, ...run, expected: new Map() }, say))
  }
  return runs
}

/** The scenarios that need no fixtures, of every server of the running platform that speaks MCP. */
export async function runServices(say: Say, signal: AbortSignal): Promise<ServiceRun[]> {
  const baseline = readBaseline('services')
  await using platform = await startFourServers(signal)
  const runs: ServiceRun[] = []
  for (const server of serverNames) {
    const url = platform.servers.get(server)?.proxyUrl
    if (url === undefined) say(`${server}: has no /mcp, left out`)
    for (const revision of url === undefined ? [] : revisions) {
      const args = ['server', '--url', `${url}/mcp`, '--expected-failures', baseline.path]
      const scenarios: Scenario[] = []
      for (const name of fixtureFree[revision]) {
        signal.throwIfAborted()
        scenarios.push(await runScenario(name, revision, args))
      }
      runs.push({ server, revision, scenarios })
      const bad = scenarios.filter(({ ok }) => !ok).map(({ name }) => name)
      say(`${server} ${revision}: ${scenarios.length} scenarios, not met: ${bad.join(' ') || '-'}`)
    }
  }
  return runs
}

function told(run: RequirementsRun, say: Say): RequirementsRun {
  const required = run.scenarios.filter(({ unscored }) => unscored === undefined)
  say(`${run.side} ${run.revision}: ${required.length} required, ${run.ok ? 'met' : 'NOT met'}`)
  if (!run.ok) say(run.output)
  return run
}
