/**
 * `npm run conformance`: the official MCP conformance suite against our wiring, our client and our
 * running servers. Writes docs/conformance.md, and exits 1 when a requirement is not met or when
 * something that was expected to fail does not.
 *
 *     npm run conformance -- --only fixtures      or client, or services: no report is written
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { assertNode } from '../../launcher/config.ts'
import { stopOnSignals } from '../../launcher/stop-signals.ts'
import { serverNames } from './four-servers.ts'
import { writeReport } from './report.ts'
import { runClient, runFixtures, runServices } from './runs.ts'

const { values } = parseArgs({ options: { only: { type: 'string' } } })
const wants = (part: string) => values.only === undefined || values.only === part
const say = (line: string) => console.log(line)
const packages = ['conformance', 'server', 'client', 'node'].map(
  (name) => `@modelcontextprotocol/${name}`,
)

async function main(): Promise<boolean> {
  assertNode(process.versions.node)
  const fixtures = wants('fixtures') ? await runFixtures(say) : []
  const client = wants('client') ? await runClient(say) : []
  const services = wants('services') ? await runServices(say, stopOnSignals().first) : []
  const requirements = [...fixtures, ...client]
  if (values.only === undefined) {
    const report = writeReport({
      date: new Date().toISOString().slice(0, 10),
      versions: {
        ...Object.fromEntries(packages.map(versionOf)),
        'Node.js': process.versions.node,
      },
      requirements,
      services,
      leftOut: serverNames.filter((name) => !services.some(({ server }) => server === name)),
    })
    writeFileSync(join(import.meta.dirname, '../../docs/conformance.md'), report)
    say('Written: docs/conformance.md')
  }
  const scenarios = services.flatMap((run) => run.scenarios)
  return [...requirements, ...scenarios].every(({ ok }) => ok)
}

function versionOf(name: string): [string, string] {
  const path = join(import.meta.dirname, '../../node_modules', name, 'package.json')
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string }
  return [name, version]
}

const met = await main().catch((error: unknown) => {
  console.error(error)
  return false
})
process.exit(met ? 0 : 1)
