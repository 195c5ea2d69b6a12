/** A real Prometheus with our rules, in a hurry: it scrapes and evaluates every second. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { startProgram } from './program.ts'
import { observabilityDir, ruleFiles } from './rule-files.ts'

export interface Target {
  readonly service: string
  /** `host:port`. */
  readonly address: string
}

export interface PrometheusOptions {
  readonly dir: string
  readonly port: number
  readonly alertmanagerPort: number
  readonly targets: readonly Target[]
}

const labels = z.record(z.string(), z.string())
const point = z.tuple([z.number(), z.string()])
const series = z.object({
  metric: labels,
  value: point.optional(),
  values: z.array(point).optional(),
})
const ruleState = z.object({
  name: z.string(),
  health: z.string(),
  lastError: z.string().optional(),
})
const exemplars = z.object({ exemplars: z.array(z.object({ labels })) })
const alertState = z.object({ labels, annotations: labels, state: z.string() })

export type Series = z.infer<typeof series>
export type AlertState = z.infer<typeof alertState>

export interface Prometheus extends AsyncDisposable {
  /** @throws Error with what Prometheus says when it refuses the expression. */
  query(expr: string): Promise<Series[]>
  queryRange(expr: string, fromS: number, toS: number, stepS: number): Promise<Series[]>
  rules(): Promise<z.infer<typeof ruleState>[]>
  alerts(): Promise<AlertState[]>
  /** The trace ids that buckets of this metric carry. */
  traceIds(metric: string): Promise<string[]>
}

const askMs = 10_000
const every = '1s'
/** As long as an alert must last here, in place of minutes. */
const shortFor = '2s'

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const { dir, port } = options
  await writeConfig(options)
  const base = `http://127.0.0.1:${port}`
  const program = await startProgram(
    'prometheus',
    [
      `--config.file=${join(dir, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
      '--log.level=warn',
    ],
    `${base}/-/ready`,
  )
  const ask = async <T>(path: string, params: Record<string, string>, data: z.ZodType<T>) => {
    const url = `${base}/api/v1/${path}?${new URLSearchParams(params)}`
    const response = await fetch(url, { signal: AbortSignal.timeout(askMs) })
    const answer = await response.json()
    const read = z.object({ status: z.literal('success'), data }).safeParse(answer)
    if (!read.success) throw new Error(`${params.query ?? path}: ${JSON.stringify(answer)}`)
    return read.data.data
  }
  const result = z.object({ result: z.array(series) })
  return {
    query: async (query) => (await ask('query', { query }, result)).result,
    queryRange: async (query, fromS, toS, stepS) => {
      const range = { start: String(fromS), end: String(toS), step: String(stepS) }
      return (await ask('query_range', { query, ...range }, result)).result
    },
    rules: async () => {
      const groups = z.object({ groups: z.array(z.object({ rules: z.array(ruleState) })) })
      return (await ask('rules', {}, groups)).groups.flatMap(({ rules }) => rules)
    },
    alerts: async () => (await ask('alerts', {}, z.object({ alerts: z.array(alertState) }))).alerts,
    traceIds: async (query) => {
      const range = { start: '0', end: String(Date.now() / 1_000) }
      const found = await ask('query_exemplars', { query, ...range }, z.array(exemplars))
      return found.flatMap((one) =>
        one.exemplars.flatMap(({ labels: { trace_id: id } }) => id ?? []),
      )
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  }
}

/** The committed configuration; only where targets are and how long things take is ours. */
async function writeConfig({ dir, alertmanagerPort, targets }: PrometheusOptions): Promise<void> {
  const committed = join(observabilityDir, 'prometheus/prometheus.yml')
  const config = parse(await readFile(committed, 'utf8'))
  config.global = { scrape_interval: every, evaluation_interval: every, scrape_timeout: every }
  config.alerting.alertmanagers = [
    { static_configs: [{ targets: [`127.0.0.1:${alertmanagerPort}`] }] },
  ]
  const [scrape] = config.scrape_configs
  delete scrape.dns_sd_configs
  delete scrape.relabel_configs
  scrape.static_configs = targets.map(({ service, address }) => ({
    targets: [address],
    labels: { service },
  }))
  await mkdir(join(dir, 'rules'))
  for (const path of ruleFiles) {
    const hurried = (await readFile(path, 'utf8')).replace(/^( +for:) \d+m$/gm, `$1 ${shortFor}`)
    await writeFile(join(dir, 'rules', basename(path)), hurried)
  }
  await writeFile(join(dir, 'prometheus.yml'), stringify(config))
}
