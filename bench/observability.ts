/**
 * `npm run bench:observability`: what watching costs, as CPU time of our four processes for one
 * ordinary order. Three platforms side by side, orders in turn, so that noise meets all alike:
 *
 *     silent   no log lines, never scraped
 *     watched  log lines at info, /metrics scraped after every batch      goal: under 5 % more
 *     traced   the same, and traces at 10 % sampling to a sink            goal: under 10 % on top
 *
 * Prints the median of the pairs' ratios and the middle 95 % of its bootstrap. Run it alone.
 */
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Platform, startPlatform } from '../launcher/platform.ts'
import { fillStock } from './fill-stock.ts'

const portOffsets = { silent: 22_700, watched: 22_900, traced: 23_100 }
const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
const counts = { warmUp: 60, pairs: 24, batch: 15, resamples: 2_000 }
const stockForAll = 100_000
const orderMs = 60_000
const ticksPerSecond = 100
const ours = /^(orchestrator|order|inventory|fulfillment)$/

type Name = keyof typeof portOffsets

const sink = createServer((request, response) => {
  request.resume().once('end', () => response.writeHead(200).end('{}'))
})
await once(sink.listen(0, '127.0.0.1'), 'listening')
const sinkUrl = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`
const traced = {
  OTEL_EXPORTER_OTLP_ENDPOINT: sinkUrl,
  OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
  OTEL_TRACES_SAMPLER_ARG: '0.1',
}

async function main(): Promise<void> {
  await using silent = await started('silent', 'silent', {})
  await using watched = await started('watched', 'info', {})
  await using sampled = await started('traced', 'info', traced)
  const platforms = { silent, watched, traced: sampled }
  const names = Object.keys(platforms) as Name[]
  for (const name of names) await orders(platforms[name].platform, counts.warmUp)
  const cpuMs: Record<Name, number[]> = { silent: [], watched: [], traced: [] }
  for (let pair = 0; pair < counts.pairs; pair++) {
    // Another one begins each time: what came before warms or slows who comes next.
    const turn = [...names.slice(pair % names.length), ...names.slice(0, pair % names.length)]
    for (const name of turn) cpuMs[name].push(await batch(platforms[name].platform, name))
    if (pair % 6 === 5) console.log(`${pair + 1} of ${counts.pairs} pairs`)
  }
  console.log(`CPU ms an order, median: ${names.map((n) => `${n} ${median(cpuMs[n]).toFixed(1)}`)}`)
  console.log(`metrics and logs: ${said(cpuMs.watched, cpuMs.silent)} (goal under 5 %)`)
  console.log(`traces at 10 %, on top: ${said(cpuMs.traced, cpuMs.watched)} (goal under 10 %)`)
}

async function started(name: Name, logLevel: 'silent' | 'info', env: Record<string, string>) {
  const dataDir = await mkdtemp(join(tmpdir(), `baton-bench-${name}-`))
  // Postgres runs as another user where we are root, and must reach its files.
  await chmod(dataDir, 0o755)
  const platform = await startPlatform({
    ...{ dataDir, portOffset: portOffsets[name], claude: { mode: 'standin' }, logLevel },
    env: { orchestrator: env, order: env, inventory: env, fulfillment: env },
    onLine: () => {},
  })
  await fillStock(platform, ordinary.sku, stockForAll)
  return {
    platform,
    [Symbol.asyncDispose]: async () => {
      await platform.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** CPU milliseconds an order, of our processes alone. */
async function batch(platform: Platform, name: Name): Promise<number> {
  const before = await cpuMsOf(platform)
  await orders(platform, counts.batch)
  if (name !== 'silent') await scrape(platform)
  return ((await cpuMsOf(platform)) - before) / counts.batch
}

async function orders({ urls }: Platform, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const response = await fetch(`${urls.orchestrator}/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(ordinary),
      signal: AbortSignal.timeout(orderMs),
    })
    const { status } = (await response.json()) as { status: string }
    if (status !== 'fulfilled') throw new Error(`An order ended ${status}`)
  }
}

async function scrape({ urls }: Platform): Promise<void> {
  const own = Object.entries(urls).filter(([name]) => ours.test(name))
  await Promise.all(own.map(async ([, url]) => (await fetch(`${url}/metrics`)).text()))
}

/** User and system time of the processes, from /proc (fields 14 and 15, in ticks of 10 ms). */
async function cpuMsOf({ processes }: Platform): Promise<number> {
  const own = processes.filter(({ name }) => ours.test(name))
  const ticks = await Promise.all(
    own.map(async ({ pid }) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(fields[11]) + Number(fields[12])
    }),
  )
  return ticks.reduce((sum, t) => sum + t, 0) * (1_000 / ticksPerSecond)
}

function said(more: readonly number[], less: readonly number[]): string {
  const ratios = more.map((ms, i) => ms / (less[i] ?? Number.NaN) - 1)
  const medians = Array.from({ length: counts.resamples }, () =>
    median(ratios.map(() => ratios[Math.floor(Math.random() * ratios.length)] ?? 0)),
  ).sort((a, b) => a - b)
  const at = (share: number) => percent(medians[Math.floor(share * medians.length)] ?? 0)
  return `${percent(median(ratios))} (95 %: ${at(0.025)} to ${at(0.975)}, ${ratios.length} pairs)`
}

const percent = (ratio: number) => `${(ratio * 100).toFixed(1)} %`

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

await main().finally(() => sink.close())
