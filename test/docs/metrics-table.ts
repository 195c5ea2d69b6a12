/** The tables of docs/metrics.md, made from what real registries hold. */
import { createOrderMetrics } from '../../orchestrator/metrics.ts'
import { outcomes } from '../../orchestrator/outcome.ts'
import type { Db } from '../../platform/db.ts'
import { policy } from '../../platform/errors.ts'
import { agentOutcomes, authRefusalReasons, tokenKinds } from '../../platform/metric-labels.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { showStock } from '../../services/inventory/stock-metric.ts'

interface Metric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly labelNames: readonly string[]
}

/** Of the runtime, from prom-client: described in words. */
const isRuntime = ({ name }: Metric) => /^(nodejs|process)_/.test(name)

function namesOf(make: (metrics: ReturnType<typeof createMetrics>) => void): Metric[] {
  const metrics = createMetrics('docs')
  make(metrics)
  // Every metric has its label names; the types of prom-client leave them out.
  const all = metrics.registry.getMetricsAsArray() as unknown as readonly Metric[]
  return all.filter((metric) => !isRuntime(metric))
}

const units: Readonly<Record<string, string>> = {
  claude_tokens_total: 'tokens',
  claude_cost_usd_total: 'USD',
  agent_turns: 'turns',
  stock_units: 'units',
  circuit_breaker_state: '0, 1 or 2',
}
const unitOf = (name: string) => units[name] ?? (name.endsWith('_seconds') ? 'seconds' : 'count')

function tableOfNames(): string {
  const everywhere = namesOf(() => {})
  const known = new Set(everywhere.map(({ name }) => name))
  const own = (make: Parameters<typeof namesOf>[0]) =>
    namesOf(make).filter(({ name }) => !known.has(name))
  const orchestrator = own((metrics) => {
    const waiting = async () => ({ queued: 0, queueAgeSeconds: 0, stuck: 0 })
    createOrderMetrics(metrics).watchOrders({ inFlight: () => 0, waiting })
  })
  const inventory = own((metrics) => showStock(metrics, {} as Db, []))
  const rows = [
    ...everywhere.map((metric) => ({ ...metric, where: 'every process' })),
    ...orchestrator.map((metric) => ({ ...metric, where: 'orchestrator' })),
    ...inventory.map((metric) => ({ ...metric, where: 'inventory' })),
  ].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const lines = rows.map(({ name, type, labelNames, help, where }) => {
    const labels = ['service', ...labelNames].map((label) => `\`${label}\``).join(', ')
    const simulated = labelNames.includes('mode') ? 'where `mode="standin"`' : 'no'
    return `| \`${name}\` | ${type} | ${labels} | ${unitOf(name)} | ${help} | ${where} | ${simulated} |`
  })
  return [
    '| name | type | labels | unit | meaning | on | simulated |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

function tableOfLabels(): string {
  const calls = ['ok', ...Object.keys(policy)]
  const sets: readonly (readonly [string, readonly string[]])[] = [
    ['`kind` of tokens', tokenKinds],
    ['`mode`', ['standin', 'live']],
    ['`outcome` of agents', agentOutcomes],
    ['`outcome` of orders', outcomes],
    ['`outcome` of tool calls', calls],
    ['`reason` of refusals', authRefusalReasons],
  ]
  const lines = sets.map(
    ([label, values]) => `| ${label} | ${values.map((value) => `\`${value}\``).join(', ')} |`,
  )
  return ['| label | values |', '| --- | --- |', ...lines].join('\n')
}

const places = { names: tableOfNames, labels: tableOfLabels }

/** The document with the tables as they are now. */
export function withMetricsTables(document: string): string {
  return Object.entries(places).reduce((text, [name, table]) => {
    const begin = `<!-- ${name}: begin, written by npm run docs -->`
    const [from, to] = [text.indexOf(begin), text.indexOf(`<!-- ${name}: end -->`)]
    if (from < 0 || to < from) throw new Error(`The document has no place for the table of ${name}`)
    return `${text.slice(0, from)}${begin}\n\n${table()}\n\n${text.slice(to)}`
  }, document)
}
