/** Many orders through one set of processes: what they hold in memory must not grow with them. */
import { basePorts } from '../../launcher/ports.ts'
import { checkBooks } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { inspected, type Memory, measureMemory } from './memory.ts'
import { orderMix } from './orders.ts'
import { breachLines, outcomeLines } from './report.ts'
import { fillStock, settle } from './settle.ts'
import { serviceNames, startStage } from './stage.ts'

const plenty = 1_000_000
const atOnce = 12
const measurements = 5
/** Heap after a collection may grow this much between the first measurement and the last, MiB. */
const growthMibMax = 16
const inspectorPortStep = 200

export interface SoakRun {
  readonly portOffset: number
  readonly orders: number
  readonly seed: number
  readonly say: (line: string) => void
}

/** Returns whether memory stayed flat and every promise held. */
export async function runSoak({ portOffset, orders, seed, say }: SoakRun): Promise<boolean> {
  const names = ['orchestrator', ...serviceNames] as const
  const ports = names.map((name) => basePorts[name] + portOffset + inspectorPortStep)
  const env = Object.fromEntries(names.map((name, i) => [name, inspected(ports[i] ?? 0)]))
  await using stage = await startStage({ portOffset, replicas: 1, env })
  await fillStock(stage, 'ABC123', plenty)
  await fillStock(stage, 'DEF457', plenty)
  const ledger = new Ledger(stage.fronts)
  const next = orderMix(seed)
  const measured: Memory[][] = []
  const startedAt = performance.now()
  say(`orders  ${names.map((name) => name.padEnd(24)).join('')}`)
  say(`        ${names.map(() => 'rss  after gc  heap'.padEnd(24)).join('')}(MiB)`)
  for (let part = 1; part <= measurements; part++) {
    const until = Math.round((orders * part) / measurements)
    const client = async () => {
      while (ledger.entries.length < until) await ledger.submit(next()).answered
    }
    await Promise.all(Array.from({ length: atOnce }, client))
    await ledger.answered()
    const now = await Promise.all(ports.map(measureMemory))
    measured.push(now)
    const columns = now.map(({ rss, rssAfterGc, heapAfterGc }) =>
      `${rss}  ${rssAfterGc}  ${heapAfterGc}`.padEnd(24),
    )
    say(`${String(until).padEnd(8)}${columns.join('')}`)
  }
  await settle(stage)
  const { breaches, ...books } = await checkBooks(stage, ledger)
  const grown = names.flatMap((name, i) => {
    const [first, last] = [measured[0]?.[i], measured.at(-1)?.[i]]
    const mib = (last?.heapAfterGc ?? 0) - (first?.heapAfterGc ?? 0)
    const what = 'memory that grows with orders'
    return mib > growthMibMax ? [{ what, detail: `${name}: ${mib} MiB of heap` }] : []
  })
  const seconds = (performance.now() - startedAt) / 1_000
  say(outcomeLines({ ...books, breaches }, ledger))
  say(`Took ${Math.round(seconds)} s, ${(orders / seconds).toFixed(1)} orders/s`)
  const all = [...breaches, ...grown]
  say(breachLines(all))
  return all.length === 0
}
