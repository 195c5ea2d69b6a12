/** One run of the crash matrix, from an empty platform to its report. */
import { cpus } from 'node:os'
import { type Cell, cells } from './cells.ts'
import { checkBooks } from './invariants.ts'
import { walkCells } from './kills.ts'
import { Ledger } from './ledger.ts'
import { orderMix } from './orders.ts'
import { breachLines, cellTable, outcomeLines, takeoverLine, walkBreaches } from './report.ts'
import { fillStock, settle } from './settle.ts'
import { startStage } from './stage.ts'
import { startStream } from './stream.ts'

export interface KillRun {
  readonly portOffset: number
  readonly replicas: number
  readonly walk: readonly Cell[]
  readonly seed: number
  readonly ordersPerSecond: number
  readonly say: (line: string) => void
}

const plenty = 1_000_000

/** Returns whether every promise held; what was found is said. */
export async function runKills(run: KillRun): Promise<boolean> {
  const { portOffset, replicas, walk, seed, say } = run
  const startedAt = performance.now()
  say(`${walk.length} kills of ${cells.length} cells, seed ${seed}, ${replicas} replicas`)
  say(`Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`)
  await using stage = await startStage({ portOffset, replicas })
  const crash = stage.platform.exited.then((exit) => {
    say(`A process ended by itself: ${JSON.stringify(exit)}`)
    return exit
  })
  await fillStock(stage, 'ABC123', plenty)
  await fillStock(stage, 'DEF457', plenty)
  const ledger = new Ledger(stage.fronts)
  const stream = startStream(ledger, orderMix(seed), run.ordersPerSecond)
  const walked = await walkCells(stage, ledger, walk, seed, say)
  await stream.end()
  await ledger.answered()
  const { resumed } = await settle(stage)
  const books = await checkBooks(stage, ledger)
  const crashed = await Promise.race([crash, Promise.resolve(undefined)])
  const breaches = [
    ...books.breaches,
    ...walkBreaches(walked),
    ...(crashed === undefined
      ? []
      : [{ what: 'a process that ended by itself', detail: crashed.name }]),
  ]
  say('')
  say(cellTable(walked))
  say('')
  say(outcomeLines(books, ledger))
  say(`Stuck orders resumed: ${resumed}`)
  say(takeoverLine(walked))
  say(`Took ${Math.round((performance.now() - startedAt) / 1_000)} s`)
  say(breachLines(breaches))
  return breaches.length === 0
}
