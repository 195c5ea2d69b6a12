/** Runs that a person or a client asks for: the end of a held order, and the start of what was asked. */
import type { IntakeDeps } from './intake.ts'
import { type Doing, dismissOrder } from './order-rounds.ts'
import type { OrderRow } from './order-store.ts'
import type { StoredEnding } from './outcome.ts'
import { startRun } from './runs.ts'

/** Ends a held order otherwise, everywhere, by one more run of its round. */
export async function dismiss(
  deps: IntakeDeps,
  row: OrderRow,
  doing: Doing,
  ending: StoredEnding,
  phase: 'ending' | 'cancelling' = 'ending',
): Promise<OrderRow> {
  const dismissed = await dismissOrder(deps.pool, row, doing, ending, phase)
  await startOrLeave(deps, dismissed)
  return dismissed
}

/** A run that cannot be started now is started by the next sweep: the row asks for it. */
export async function startOrLeave(deps: IntakeDeps, row: OrderRow): Promise<void> {
  const mayStartHere = !deps.draining.aborted && deps.flights.running < deps.inFlightMax
  const dispatch = mayStartHere ? 'direct' : 'queued'
  await startRun(deps, row, dispatch).catch((error: unknown) => {
    const { orderId, round, traceId } = row
    deps.log.warn({ err: error, orderId, round, traceId }, 'run not started; the sweep will')
  })
}
