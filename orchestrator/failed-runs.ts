/**
 * Orders whose run is over although they still run: the engine gave it up after too many crashes,
 * or could not go on with it. Nobody else would ever end them, so they become `stuck`: a person
 * looks at what was done for them.
 */
import type { Pool } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'
import type { Engine } from './engine/seam.ts'
import { findRunning } from './order-store.ts'
import { runIdOf } from './runs.ts'
import { type Ending, endStuck, recordEnding } from './workflows/endings.ts'

export interface FailedRunDeps {
  readonly pool: Pool
  readonly engine: Engine
  readonly log: Log
  readonly onEnd: (ending: Ending, acceptedAtMs: number) => void
}

const runningForMs = 5_000
const sweepBatch = 500

/** Ends them. Safe to repeat, and to do on several replicas at once. */
export async function endFailedRuns({ pool, engine, log, onEnd }: FailedRunDeps): Promise<void> {
  const rows = await findRunning(pool, runningForMs, sweepBatch)
  const states = await engine.statuses(rows.map(runIdOf))
  for (const row of rows) {
    if (states.get(runIdOf(row)) !== 'failed') continue
    const { orderId, round, traceId, resumes: resume } = row
    const message = 'The run of this order failed'
    const ending = endStuck({ kind: 'internal', code: 'run_failed', message })
    const { wanted } = row.summary ?? {}
    const summary = wanted === undefined ? ending.summary : { ...ending.summary, wanted }
    await recordEnding(pool, { orderId, round }, { ...ending, summary }, { resume })
    onEnd(ending, row.requestedAt.getTime())
    log.error({ orderId, round, traceId }, 'an order is stuck: its run failed')
  }
}
