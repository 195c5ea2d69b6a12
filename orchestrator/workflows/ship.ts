/** From the decision to ship on: the pivot, the label, the stock. */
import type { Pool } from '../../platform/db.ts'
import * as fulfillment from '../../services/fulfillment/contract.ts'
import * as inventory from '../../services/inventory/contract.ts'
import { commitOrder } from '../order-store.ts'
import type { Calls } from './calls.ts'
import type { FinalDecision } from './decide-rules.ts'
import { type Ending, endByError, endFulfilled, endStuck } from './endings.ts'
import type { Knowledge } from './facts.ts'
import { cancelledByClient, failureOf, type OrderKey, type OrderRun } from './order-run.ts'

/** The pivot: whoever comes second, this or a cancel, finds the row taken. Then it ships. */
export async function commitAndShip(
  run: OrderRun,
  pool: Pool,
  calls: Calls,
  key: OrderKey,
  decision: FinalDecision,
  known: Knowledge,
): Promise<Ending> {
  const forward = await run.record('pivot', () => commitOrder(pool, key.orderId, key.round))
  if (!forward) return endByError(failureOf(cancelledByClient()), known)
  return ship(run, calls, key, decision, known)
}

/**
 * After the pivot: only forward, but for a label that the carrier refuses for good. What cannot get
 * through is stuck. Whatever was done of it before is found done.
 */
export async function ship(
  run: OrderRun,
  calls: Calls,
  key: OrderKey,
  decision: FinalDecision,
  known: Knowledge,
): Promise<Ending> {
  try {
    return await labelAndCommit(run, calls, key, decision, known)
  } catch (cause) {
    return endStuck(failureOf(cause), known)
  }
}

async function labelAndCommit(
  run: OrderRun,
  calls: Calls,
  key: OrderKey,
  decision: FinalDecision,
  known: Knowledge,
): Promise<Ending> {
  run.pushUndo(calls.toCarrier('fulfillment', fulfillment.voidLabel, key))
  const bought = await run.persist(calls.toCarrier('fulfillment', fulfillment.generateLabel, key))
  if (!bought.ok) {
    const refused = bought.error.kind === 'rejected'
    return refused ? endByError(bought.error, known) : endStuck(bought.error, known)
  }
  known.label = bought.value.label
  const committed = await run.persist(calls.to('inventory', inventory.commitStock, key))
  if (!committed.ok) return endStuck(committed.error, known)
  return endFulfilled(decision, bought.value.label, known)
}
