/**
 * From a request to a run: one insert, then the start of a workflow whose id is the order's. Every
 * repeat starts it again by that id, which changes nothing, so a crash in between loses nothing.
 */
import { randomUUID } from 'node:crypto'
import { AppError } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import type { Flights } from './flights.ts'
import { hashOf, type OrderRequest } from './order-request.ts'
import { findByKey, findUnstarted, type OrderRow, takeIn } from './order-store.ts'
import { type RunStartDeps, runIdOf, startRun } from './runs.ts'

export interface IntakeDeps extends RunStartDeps {
  readonly log: Log
  readonly flights: Flights
  /** Runs that this process starts directly; beyond them orders are queued. */
  readonly inFlightMax: number
  /** Orders that may wait in the queue; beyond them callers are told to come back. */
  readonly queueMax: number
}

export interface Submission {
  readonly clientId: string
  readonly idempotencyKey: string | undefined
  readonly request: OrderRequest
  readonly traceId: string
  readonly preferQueue: boolean
}

const retryAfterSeconds = 2
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
  const dispatch = await admit(deps, submission.preferQueue)
  if (dispatch === 'refused') return earlierOrder(deps, submission, bodyHash)
  return deps.flights.during(async () => {
    const { row } = await takeIn(deps.pool, {
      orderId: randomUUID(),
      clientId,
      idempotencyKey: submission.idempotencyKey ?? `none-${randomUUID()}`,
      bodyHash,
      request,
      labelKey: randomUUID(),
      traceId,
    })
    if (row.status === 'running') await startRun(deps, row, dispatch)
    return row
  })
}

async function admit(
  deps: IntakeDeps,
  preferQueue: boolean,
): Promise<'direct' | 'queued' | 'refused'> {
  if (!preferQueue && deps.flights.running < deps.inFlightMax) return 'direct'
  return (await deps.engine.queued()) < deps.queueMax ? 'queued' : 'refused'
}

/** Without room for new orders, repeats of known ones are still answered. */
async function earlierOrder(
  { pool }: IntakeDeps,
  { clientId, idempotencyKey }: Submission,
  bodyHash: string,
): Promise<OrderRow> {
  const known =
    idempotencyKey === undefined
      ? undefined
      : await findByKey(pool, clientId, idempotencyKey, bodyHash)
  if (known !== undefined) return known
  throw new AppError('unavailable', 'overloaded', 'Too many orders are waiting', {
    next: `Send the same request again in ${retryAfterSeconds} seconds; nothing was stored.`,
    http: { status: 429, headers: { 'retry-after': String(retryAfterSeconds) } },
  })
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
    log.warn({ orderId: row.orderId }, 'started an order that was taken in but not started')
  }
}
