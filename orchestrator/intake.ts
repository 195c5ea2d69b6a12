/**
 * From a request to a run: one insert, then the start of a workflow whose id is the order's. Every
 * repeat starts it again by that id, which changes nothing, so a crash in between loses nothing.
 */
import { randomUUID } from 'node:crypto'
import { AppError } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import { type AdmissionDeps, admit } from './admission.ts'
import { hashOf, type OrderRequest } from './order-request.ts'
import { findByKey, findUnstarted, type OrderRow, takeIn } from './order-store.ts'
import { type RunStartDeps, runIdOf, startRun } from './runs.ts'

export interface IntakeDeps extends RunStartDeps, AdmissionDeps {
  readonly log: Log
}

export interface Submission {
  readonly clientId: string
  readonly idempotencyKey: string | undefined
  readonly request: OrderRequest
  readonly traceId: string
  readonly preferQueue: boolean
}

const unstartedAfterMs = 5_000
const sweepBatch = 100

/**
 * Takes one order in and starts its run.
 *
 * @throws invalid `idempotency_key_reused` (422).
 * @throws unavailable `overloaded` (429, with Retry-After): nothing was stored.
 */
export async function submitOrder(deps: IntakeDeps, submission: Submission): Promise<OrderRow> {
  const { clientId, request, traceId } = submission
  const bodyHash = hashOf(request)
  const enter = async (dispatch: 'direct' | 'queued'): Promise<OrderRow> => {
    const { row, isNew } = await takeIn(deps.pool, {
      orderId: randomUUID(),
      clientId,
      idempotencyKey: submission.idempotencyKey ?? `none-${randomUUID()}`,
      bodyHash,
      request,
      labelKey: randomUUID(),
      traceId,
    })
    const { orderId, round } = row
    if (isNew) deps.log.info({ orderId, round, traceId, clientId, dispatch }, 'order taken in')
    if (row.status === 'running') await startRun(deps, row, dispatch, !isNew)
    return row
  }
  try {
    return await admit(deps, submission.preferQueue, enter)
  } catch (error) {
    const known = isOverloaded(error) ? await earlierOrder(deps, submission, bodyHash) : undefined
    if (known === undefined) throw error
    return known
  }
}

const isOverloaded = (error: unknown) => error instanceof AppError && error.code === 'overloaded'

/** Without room for new orders, repeats of known ones are still answered. */
async function earlierOrder(
  { pool }: IntakeDeps,
  { clientId, idempotencyKey }: Submission,
  bodyHash: string,
): Promise<OrderRow | undefined> {
  if (idempotencyKey === undefined) return undefined
  return findByKey(pool, clientId, idempotencyKey, bodyHash)
}

/** Starts the runs of orders whose process died between the write and the start. */
export async function startForgotten(deps: IntakeDeps): Promise<void> {
  const { pool, engine, log } = deps
  const rows = await findUnstarted(pool, unstartedAfterMs, sweepBatch)
  const states = await engine.statuses(rows.map(runIdOf))
  for (const row of rows) {
    // Most of them wait in the queue, or for the end of their first step.
    if (states.has(runIdOf(row))) continue
    await startRun(deps, row, 'queued')
    const { orderId, round, traceId } = row
    log.warn({ orderId, round, traceId }, 'started an order that was taken in but not started')
  }
}
