/** The walk over the cells: a stream of orders all the time, and one process killed after another. */
import { setTimeout as delay } from 'node:timers/promises'
import { randomFrom } from '../../standins/claude/random.ts'
import { type Cell, nameOf } from './cells.ts'
import type { Ledger } from './ledger.ts'
import { orderOf } from './orders.ts'
import type { Stage } from './stage.ts'
import { orderIdOf, type Prey, trap } from './trap.ts'

export interface Hit {
  readonly cell: Cell
  /** Undefined when it was missed. */
  readonly process: string | undefined
  readonly tries: number
  readonly why?: string
}

export interface Takeover {
  readonly runs: number
  readonly ms: number
}

export interface Walked {
  readonly hits: readonly Hit[]
  readonly takeovers: readonly Takeover[]
}

const triesMax = 4
/** No replica's runs may wait longer for a new owner. */
export const takeoverMsMax = 10_000
const takeoverPollMs = 100
const takeoverGiveUpMs = 30_000

/** Kills one process in each cell, and starts it again before the next. */
export async function walkCells(
  stage: Stage,
  ledger: Ledger,
  cells: readonly Cell[],
  seed: number,
  say: (line: string) => void,
): Promise<Walked> {
  const random = randomFrom(seed)
  const hits: Hit[] = []
  const takeovers: Takeover[] = []
  let handingOver: Promise<void> = Promise.resolve()
  for (const [i, cell] of cells.entries()) {
    // A takeover is timed while its heir and the database live.
    if (cell.victim === 'orchestrator' || cell.victim === 'postgres') await handingOver
    const hit = await hitCell(stage, ledger, cell, i, random)
    hits.push(hit.hit)
    if (hit.takeover !== undefined) {
      handingOver = hit.takeover.then((takeover) => {
        if (takeover !== undefined) takeovers.push(takeover)
      })
    }
    const { process, tries, why } = hit.hit
    const how = process === undefined ? `MISSED: ${why}` : `${process} killed`
    const again = tries > 1 ? ` (try ${tries})` : ''
    say(`${String(i + 1).padStart(4)}/${cells.length} ${nameOf(cell).padEnd(48)} ${how}${again}`)
  }
  await handingOver
  return { hits, takeovers }
}

async function hitCell(
  stage: Stage,
  ledger: Ledger,
  cell: Cell,
  nth: number,
  random: () => number,
): Promise<{ hit: Hit; takeover?: Promise<Takeover | undefined> }> {
  let why = ''
  for (let tries = 1; tries <= triesMax; tries++) {
    const front = (nth + tries) % stage.fronts.length
    const submission = { ...orderOf(cell.step.order, random), first: front }
    const { entry } = ledger.submit(submission)
    let struck = ''
    let killedAt = 0
    let executor: string | undefined
    const strike = async (serving: string) => {
      struck = nameOfVictim(cell, serving, front)
      killedAt = performance.now()
      await kill(stage, struck)
      // Its runs keep its name until another one takes them over, seconds later.
      if (cell.victim === 'orchestrator') executor = await executorOf(stage, entry)
    }
    try {
      await trap(stage, cell, entry, strike, { random, isRetry: tries > 1 })
    } catch (error) {
      why = (error as Error).message
      if (struck === '') continue
    }
    await revive(stage, struck)
    const takeover = executor === undefined ? undefined : timeTakeover(stage, executor, killedAt)
    return {
      hit: { cell, process: struck, tries },
      ...(takeover === undefined ? {} : { takeover }),
    }
  }
  return { hit: { cell, process: undefined, tries: triesMax, why } }
}

function nameOfVictim({ victim }: Cell, serving: string, front: number): string {
  switch (victim) {
    case 'orchestrator':
      return front === 0 ? 'orchestrator' : `orchestrator-${front + 1}`
    case 'service':
      return serving
    case 'claude':
      return 'claude-standin'
    case 'carrier':
      return 'carrier-standin'
    case 'postgres':
      return 'postgres'
  }
}

async function kill(stage: Stage, name: string): Promise<void> {
  if (name === 'postgres') stage.postgres.kill()
  else await stage.platform.kill(name)
}

async function revive(stage: Stage, name: string): Promise<void> {
  if (name === 'postgres') await stage.postgres.start()
  else await stage.platform.start(name)
}

/** The executor id of the process that runs an order now. */
async function executorOf(stage: Stage, prey: Prey): Promise<string | undefined> {
  const orderId = await orderIdOf(stage, prey)
  const sql = 'select executor_id from dbos.workflow_status where workflow_uuid = $1'
  const [found] = await stage.rows<{ executor_id: string }>('orchestrator', sql, [`${orderId}:1`])
  return found?.executor_id
}

/** How long the runs of a dead executor waited for another one. Undefined when it had none. */
async function timeTakeover(
  stage: Stage,
  executor: string,
  killedAt: number,
): Promise<Takeover | undefined> {
  const sql = `select count(*)::int as n from dbos.workflow_status
                where executor_id = $1 and status = 'PENDING'`
  let runs = 0
  for (;;) {
    const [found] = await stage.rows<{ n: number }>('orchestrator', sql, [executor])
    const left = found?.n ?? 0
    runs = Math.max(runs, left)
    const ms = Math.round(performance.now() - killedAt)
    if (left === 0) return runs === 0 ? undefined : { runs, ms }
    if (ms > takeoverGiveUpMs) return { runs, ms }
    await delay(takeoverPollMs)
  }
}
