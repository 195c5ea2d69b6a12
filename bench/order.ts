/**
 * `npm run bench:order`: how long the ordinary order takes on this machine, on real processes.
 *
 * Prints: p50 and p99 one at a time, orders per second at 16 at once, and with realistic model
 * latencies the order's time against its agents run strictly one after the other, with the share of
 * time per step. Closed loop, bounded, loopback only. Run it alone: two cores are soon shared.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPlatform } from '../launcher/platform.ts'
import { fillStock } from './fill-stock.ts'

const portOffset = 31_000
const ordinary = { sku: 'ABC123', qty: 5, customer: 'John Doe' }
const counts = { warmUp: 400, oneByOne: 100, sixteen: 400, rounds: 3, realistic: 5 }
const stockForAll = 1_000_000
const orderMs = 60_000

interface Step {
  readonly name: string
  readonly durationMs: number
  readonly agent?: { readonly durationMs: number }
}
interface Sample {
  readonly ms: number
  readonly steps: readonly Step[]
}

async function main(): Promise<void> {
  console.log(`Machine: ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}`)
  await withPlatform(false, async (url) => {
    await orders(url, counts.warmUp, 16)
    const alone = await orders(url, counts.oneByOne, 1)
    const { p50, p99 } = percentiles(alone.samples.map((sample) => sample.ms))
    console.log(`One at a time, zero model latency: p50 ${p50} ms, p99 ${p99} ms (goal p50 <= 120)`)
    const rounds: string[] = []
    for (let round = 0; round < counts.rounds; round++) {
      const together = await orders(url, counts.sixteen, 16)
      const loaded = percentiles(together.samples.map((sample) => sample.ms))
      const perSecond = (counts.sixteen / together.seconds).toFixed(1)
      rounds.push(`${perSecond}/s (p50 ${loaded.p50} ms, p99 ${loaded.p99} ms)`)
    }
    console.log(`16 at once, ${counts.rounds} rounds: ${rounds.join(', ')} (goal >= 30/s)`)
  })
  await withPlatform(true, async (url) => {
    const { samples } = await orders(url, counts.realistic, 1)
    const ratios = samples.map((sample) => sample.ms / agentsOneByOneMs(sample))
    const ms = percentiles(samples.map((sample) => sample.ms)).p50
    const ratio = median(ratios).toFixed(2)
    console.log(
      `0.2/0.8/2 s per Haiku/Sonnet/Opus turn: p50 ${ms} ms, ${ratio} of its agents in turn`,
    )
    console.log(sharePerStep(samples))
  })
}

/** What the agents of this very order would take strictly one after the other. */
function agentsOneByOneMs({ steps }: Sample): number {
  return steps.reduce((sum, step) => sum + (step.agent?.durationMs ?? 0), 0)
}

function sharePerStep(samples: readonly Sample[]): string {
  const names = samples[0]?.steps.map((step) => step.name) ?? []
  const total = median(samples.map((sample) => sample.ms))
  const lines = names.map((name) => {
    const ms = median(
      samples.map((s) => s.steps.find((step) => step.name === name)?.durationMs ?? 0),
    )
    const share = Math.round((ms / total) * 100)
    return `  ${name.padEnd(18)} ${String(ms).padStart(6)} ms ${String(share).padStart(4)} %`
  })
  return [
    'Time per step (the proposals overlap, so shares add up to more than 100 %):',
    ...lines,
  ].join('\n')
}

async function orders(url: string, count: number, atOnce: number) {
  const samples: Sample[] = []
  const startedAt = performance.now()
  let left = count
  const client = async () => {
    while (left > 0) {
      left -= 1
      samples.push(await order(url))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client))
  return { samples, seconds: (performance.now() - startedAt) / 1_000 }
}

async function order(url: string): Promise<Sample> {
  const startedAt = performance.now()
  const response = await fetch(`${url}/orchestrate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ordinary),
    signal: AbortSignal.timeout(orderMs),
  })
  const answer = (await response.json()) as { status: string; steps: Step[] }
  if (answer.status !== 'fulfilled') throw new Error(`An order ended ${JSON.stringify(answer)}`)
  return { ms: Math.round(performance.now() - startedAt), steps: answer.steps }
}

async function withPlatform(realistic: boolean, measure: (url: string) => Promise<void>) {
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-bench-'))
  // Postgres runs as another user where we are root, and must reach its files.
  await chmod(dataDir, 0o755)
  const platform = await startPlatform({
    dataDir,
    portOffset,
    realistic,
    claude: { mode: 'standin' },
    logLevel: 'error',
    onLine: (name, line) => console.log(`${name} ${line}`),
  })
  try {
    await fillStock(platform, ordinary.sku, stockForAll)
    await measure(platform.urls.orchestrator)
  } finally {
    await platform.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

function percentiles(values: readonly number[]) {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  return { p50: at(0.5) ?? 0, p99: at(0.99) ?? 0 }
}

const median = (values: readonly number[]) => percentiles(values).p50

await main()
process.exit()
