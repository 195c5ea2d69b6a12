/**
 * `npm run bench:overload`: what becomes of orders when more come than can be served.
 *
 * Measures the capacity of this machine in a closed loop, then offers 1, 2 and 5 times that in an open
 * loop: latency counts from the moment an order was due, so nothing hides behind a late sender.
 * Bounded in count, in flight and in time; loopback only. Run it alone.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { type Platform, startPlatform } from '../launcher/platform.ts'

const portOffset = 21_500
const order = JSON.stringify({ sku: 'ABC123', qty: 1, customer: 'John Doe' })
const stockForAll = 1_000_000
const [warmUp, closedLoop, atOnce] = [300, 400, 32]
const levels = [1, 2, 5]
const levelSeconds = 20
const inFlightMax = 2_000
const orderMs = 120_000
/** Small, so that the queue fills within a level. */
const env = { orchestrator: { IN_FLIGHT_MAX: '32', QUEUE_MAX: '200' } }

interface Sample {
  readonly status: number
  readonly ms: number
}

async function main(): Promise<void> {
  console.log(`Machine: ${cpus().length} x ${cpus()[0]?.model}, Node ${process.version}`)
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-bench-'))
  // Postgres runs as another user where we are root, and must reach its files.
  await chmod(dataDir, 0o755)
  const claude = { mode: 'standin' } as const
  const platform = await startPlatform({ dataDir, portOffset, claude, logLevel: 'error', env })
  try {
    await fillStock(platform)
    const url = `${platform.urls.orchestrator}/orchestrate`
    await closed(url, warmUp)
    const capacity = await closed(url, closedLoop)
    console.log(`Capacity, ${atOnce} at once: ${capacity.toFixed(1)} orders/s`)
    console.log(
      'offered      accepted/s  429     other   p50 ms   p99 ms   (accepted, from when due)',
    )
    for (const level of levels) {
      console.log(lineOf(level, capacity * level, await open(url, capacity * level)))
      await closed(url, atOnce) // what waited is worked off before the next level
    }
  } finally {
    await platform.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function closed(url: string, count: number): Promise<number> {
  const startedAt = performance.now()
  let left = count
  const client = async () => {
    while (left-- > 0) {
      const { status } = await send(url, performance.now())
      if (status !== 200) await delay(100)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client))
  return count / ((performance.now() - startedAt) / 1_000)
}

async function open(url: string, perSecond: number): Promise<Sample[]> {
  const samples: Sample[] = []
  const underWay = new Set<Promise<void>>()
  const startedAt = performance.now()
  for (let nth = 0; nth < perSecond * levelSeconds; nth++) {
    const dueAt = startedAt + (nth * 1_000) / perSecond
    const waitMs = dueAt - performance.now()
    if (waitMs > 1) await delay(waitMs)
    if (underWay.size >= inFlightMax) continue
    const one = send(url, dueAt).then((sample) => void samples.push(sample))
    underWay.add(one)
    void one.finally(() => underWay.delete(one))
  }
  await Promise.all(underWay)
  return samples
}

async function send(url: string, dueAt: number): Promise<Sample> {
  const headers = { 'content-type': 'application/json', prefer: 'wait=120' }
  const signal = AbortSignal.timeout(orderMs)
  const status = await fetch(url, { method: 'POST', headers, body: order, signal }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.status
    },
    () => 0,
  )
  return { status, ms: performance.now() - dueAt }
}

function lineOf(level: number, perSecond: number, samples: readonly Sample[]): string {
  const accepted = samples.filter(({ status }) => status === 200).map(({ ms }) => ms)
  const sorted = accepted.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0)
  const share = (match: (status: number) => boolean) =>
    `${((100 * samples.filter(({ status }) => match(status)).length) / samples.length).toFixed(1)} %`
  return [
    `${level}x ${perSecond.toFixed(0)}/s`.padEnd(12),
    (accepted.length / levelSeconds).toFixed(1).padEnd(11),
    share((status) => status === 429).padEnd(7),
    share((status) => status !== 200 && status !== 429).padEnd(7),
    String(at(0.5)).padEnd(8),
    String(at(0.99)),
  ].join(' ')
}

async function fillStock({ databaseUrls }: Platform): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrls.inventory })
  await client.connect()
  await client.query(
    `with filled as (
       update stock set available = available + $1, adjusted = adjusted + $1 where sku = 'ABC123'
       returning available
     )
     insert into stock_adjustment (request_id, sku, quantity, available_after, reason, adjusted_by)
     select gen_random_uuid(), 'ABC123', $1, available, 'benchmark', 'bench' from filled`,
    [stockForAll],
  )
  await client.end()
}

await main()
process.exit()
