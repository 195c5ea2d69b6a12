/** docs/conformance.md: what was run, with which versions, and how it went. */
import { readBaseline } from './expected-failures.ts'
import type { RequirementsRun, ServiceRun } from './runs.ts'
import { revisions, type Scenario } from './suite.ts'

export interface Findings {
  readonly date: string
  /** Of what takes part, by name. */
  readonly versions: Readonly<Record<string, string>>
  readonly requirements: readonly RequirementsRun[]
  readonly services: readonly ServiceRun[]
  /** Servers of ours that have no `/mcp`. */
  readonly leftOut: readonly string[]
}

export function writeReport(found: Findings): string {
  const versions = Object.entries(found.versions).map(([name, version]) => `${name} ${version}`)
  return `${[
    '# Conformance',
    `Written by \`npm run conformance\` on ${found.date}: ${versions.join(', ')}.`,
    '## Requirements',
    requirementsIntroduction,
    table(
      ['side', 'revision', 'required', 'passed', 'expected to fail', 'checks passed', 'not scored'],
      found.requirements.map(requirementsRow),
    ),
    '## Expected failures',
    ...found.requirements.flatMap(({ expected }) => reasons(expected)),
    'Everything else that is required passes. Not scored, and not passed (failed, or no check applied):',
    ...found.requirements.map(unscoredLine),
    '## Our servers',
    servicesIntroduction,
    ...revisions.map((revision) => serviceTable(found, revision)),
    ...found.leftOut.map((server) => `${server}: has no \`/mcp\`.`),
    ...reasons(readBaseline('services').reasons),
    '## Every scenario',
    ...found.requirements.map(everyScenario),
  ].join('\n\n')}\n`
}

const columnMin = 3

const requirementsIntroduction = `The official suite, with \`--requirements\` of both revisions.

Server: the suite's own fixtures (test/conformance/fixtures) behind the HTTP shell and the \`/mcp\` wiring
that every service uses (platform/service.ts, platform/mcp-http.ts): Host and Origin checks, hijacking,
streams, both protocol eras, no sessions. The suite cannot send a token, so this mount lets everybody in;
what a service answers without one is tested in test/platform and test/interop.

Client: test/conformance/client. A tool call of the 2026 protocol goes through platform/mcp-client.ts, as
the orchestrator's do. The rest, OAuth by redirect above all, is nothing that our client ever does: there
the scenarios test the SDK beneath it, driven by a small program of ours.`

const servicesIntroduction = `The scenarios that need no fixtures, against the platform as \`npm start\` runs
it. A proxy adds an access token to every request, with every scope that the server names in its RFC 9728
document; the three services trust the issuer of this run. The orchestrator runs with \`AUTH=off\`, as
\`npm start\` has it, and looks at no token. A cell is the number of checks passed.`

const requirementsRow = ({ side, revision, scenarios, expected }: RequirementsRun) => {
  const required = scenarios.filter(({ unscored }) => unscored === undefined)
  const unscored = scenarios.filter((scenario) => scenario.unscored !== undefined)
  const passed = required.filter(({ ok, name }) => ok && !expected.has(name))
  const checks = required.reduce((sum, scenario) => sum + scenario.passed, 0)
  const met = unscored.filter(isMet).length
  return [
    ...[side, revision, required.length, passed.length, expected.size, checks],
    `${met} of ${unscored.length} pass`,
  ]
}

/** One in which no check applied, or that ended with a warning, proves nothing. */
const isMet = ({ ok, passed }: Scenario): boolean => ok && passed > 0

function unscoredLine({ side, revision, scenarios }: RequirementsRun): string {
  const failing = scenarios.filter((each) => each.unscored !== undefined && !isMet(each))
  const names = failing.map(({ name, unscored }) => `\`${name}\` (${unscored})`)
  return `- ${side} ${revision}: ${names.join(', ') || 'none'}`
}

/** One line for each reason, with all that it is the reason of. */
function reasons(expected: ReadonlyMap<string, string>): string[] {
  const byReason = Map.groupBy(expected.keys(), (name) => expected.get(name))
  return [...byReason].map(
    ([reason, names]) => `- ${names.map((name) => `\`${name}\``).join(', ')}: ${reason}`,
  )
}

function serviceTable({ services }: Findings, revision: string): string {
  const runs = services.filter((run) => run.revision === revision)
  const names = runs[0]?.scenarios.map(({ name }) => name) ?? []
  const cell = (scenario: Scenario | undefined) => {
    if (scenario === undefined) return ''
    const { passed, failed, ok } = scenario
    return `${passed}${failed === 0 ? '' : ` of ${passed + failed}`}${ok ? '' : ' **not met**'}`
  }
  return table(
    [revision, ...runs.map(({ server }) => server)],
    names.map((name) => [
      name,
      ...runs.map(({ scenarios }) => cell(scenarios.find((scenario) => scenario.name === name))),
    ]),
  )
}

function everyScenario({ side, revision, scenarios }: RequirementsRun): string {
  const words = scenarios.map(
    ({ name, passed, failed }) =>
      `${name} ${failed === 0 ? passed : `${passed}/${passed + failed}`}`,
  )
  return `${side} ${revision}, checks passed (of all, where some failed): ${words.join(', ')}.`
}

/** Padded, as the formatter of this repository wants it. */
function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [head, head.map(() => ''), ...rows].map((row) => row.map(String))
  const widths = head.map((_, column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0), columnMin),
  )
  return cells
    .map((row, index) =>
      row.map((cell, column) => cell.padEnd(widths[column] ?? 0, index === 1 ? '-' : ' ')),
    )
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
}
