/** The orchestrator's row of an order: intake, pivot, outcome. */
import type { Db } from '../platform/db.ts'
import { AppError, missing } from '../platform/errors.ts'
import type { Approval } from './approval.ts'
import type { OrderRequest } from './order-request.ts'
import type { Outcome, OutcomeSummary } from './outcome.ts'
import { storableJson } from './storable.ts'

export type Phase = 'open' | 'committed' | 'ending' | 'cancelling' | 'closed'

export interface OrderRow {
  readonly orderId: string
  readonly clientId: string
  readonly request: OrderRequest
  readonly labelKey: string
  readonly traceId: string
  readonly round: number
  readonly phase: Phase
  readonly status: Outcome | 'running'
  readonly code: string | null
  readonly summary: OutcomeSummary | null
  /** How often this round was sent on after it was stuck. */
  readonly resumes: number
  /** What a person approved for this round. */
  readonly approval: Approval | null
  readonly createdAt: Date
  /** When the present run was asked for. */
  readonly requestedAt: Date
  readonly finishedAt: Date | null
}

const columns = `order_id as "orderId", client_id as "clientId", request, label_key as "labelKey",
  trace_id as "traceId", round, phase, status, code, summary, resumes, approval,
  created_at as "createdAt", requested_at as "requestedAt", finished_at as "finishedAt"`

export interface Intake {
  readonly orderId: string
  readonly clientId: string
  readonly idempotencyKey: string
  readonly bodyHash: string
  readonly request: OrderRequest
  readonly labelKey: string
  readonly traceId: string
}

/**
 * Takes an order in: one insert. A repeat (same client, key and body) returns the first one's row.
 *
 * @throws invalid `idempotency_key_reused` (422) when the key came with another body before.
 */
export async function takeIn(db: Db, intake: Intake): Promise<{ row: OrderRow; isNew: boolean }> {
  const inserted = await db.query<OrderRow>(
    `insert into customer_order
       (order_id, client_id, idempotency_key, body_hash, request, label_key, trace_id)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (client_id, idempotency_key) do nothing
     returning ${columns}`,
    [
      intake.orderId,
      intake.clientId,
      intake.idempotencyKey,
      intake.bodyHash,
      intake.request,
      intake.labelKey,
      intake.traceId,
    ],
  )
  const row = inserted.rows[0]
  if (row !== undefined) return { row, isNew: true }
  const earlier = await findByKey(db, intake.clientId, intake.idempotencyKey, intake.bodyHash)
  if (earlier === undefined) throw new Error('An idempotency key vanished')
  return { row: earlier, isNew: false }
}

/** The order of an earlier request with this key; undefined when there was none. */
export async function findByKey(
  db: Db,
  clientId: string,
  idempotencyKey: string,
  bodyHash: string,
): Promise<OrderRow | undefined> {
  const found = await db.query<OrderRow & { bodyHash: string }>(
    `select ${columns}, body_hash as "bodyHash" from customer_order
      where client_id = $1 and idempotency_key = $2`,
    [clientId, idempotencyKey],
  )
  const row = found.rows[0]
  if (row === undefined || row.bodyHash === bodyHash) return row
  throw new AppError('invalid', 'idempotency_key_reused', 'This key came with another order', {
    next: 'Use a new Idempotency-Key for a new order, or send the first order unchanged.',
    http: { status: 422 },
  })
}

/** @throws missing `no_such_order`. */
export async function readOrder(db: Db, orderId: string): Promise<OrderRow> {
  const found = await db.query<OrderRow>(
    `select ${columns} from customer_order where order_id = $1`,
    [orderId],
  )
  const [row] = found.rows
  if (row === undefined) throw noSuchOrder()
  return row
}

/** @throws missing `no_such_label`. */
export async function readOrderOfLabel(db: Db, labelKey: string): Promise<OrderRow> {
  const found = await db.query<OrderRow>(
    `select ${columns} from customer_order where label_key = $1`,
    [labelKey],
  )
  const row = found.rows[0]
  if (row === undefined) throw missing('no_such_label', 'There is no such label')
  return row
}

export interface OrderQuery {
  /** Undefined: of every client. */
  readonly clientId: string | undefined
  readonly status: string | undefined
  /** Orders older than this one. */
  readonly before: { readonly createdAt: string; readonly orderId: string } | undefined
  readonly limit: number
}

/** Newest first; `createdAt` is text with microseconds, because it is a cursor too. */
export interface ListedOrder {
  readonly orderId: string
  readonly round: number
  readonly status: string
  readonly code: string | null
  readonly createdAt: string
}

export async function listOrders(db: Db, query: OrderQuery): Promise<ListedOrder[]> {
  const conditions = ['true']
  const values: unknown[] = []
  const bind = (value: unknown) => `$${values.push(value)}`
  if (query.clientId !== undefined) conditions.push(`client_id = ${bind(query.clientId)}`)
  if (query.status !== undefined) conditions.push(`status = ${bind(query.status)}`)
  if (query.before !== undefined) {
    const { createdAt, orderId } = query.before
    conditions.push(`(created_at, order_id) < (${bind(createdAt)}, ${bind(orderId)})`)
  }
  const listed = await db.query<ListedOrder>(
    `select order_id as "orderId", round, status, code,
            to_char(created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "createdAt"
       from customer_order
      where ${conditions.join(' and ')}
      order by created_at desc, order_id desc
      limit ${bind(query.limit)}`,
    values,
  )
  return listed.rows
}

/**
 * The pivot: from here on only forward, and a cancel comes too late. True when the run goes on as it
 * decided, also on a repeat; false when a cancel came first.
 */
export function commitOrder(db: Db, orderId: string, round: number): Promise<boolean> {
  return move(db, orderId, round, 'committed', ['open', 'committed'])
}

/**
 * The end of a run that undoes what it did: a cancel comes too late here as well. It may come after
 * the pivot, when the carrier refused the label for good. True and false as at the pivot.
 */
export function beginEnding(db: Db, orderId: string, round: number): Promise<boolean> {
  return move(db, orderId, round, 'ending', ['open', 'committed', 'ending'])
}

async function move(
  db: Db,
  orderId: string,
  round: number,
  to: Phase,
  from: readonly Phase[],
): Promise<boolean> {
  const moved = await db.query(
    `update customer_order set phase = $3
      where order_id = $1 and round = $2 and phase = any($4)`,
    [orderId, round, to, from],
  )
  return moved.rowCount === 1
}

/**
 * The other side of the pivot. Repeating changes nothing, also once the order has been cancelled.
 *
 * @throws rejected `too_late` when the order went forward or has ended otherwise.
 */
export async function requestCancel(db: Db, orderId: string): Promise<void> {
  const moved = await db.query(
    `update customer_order set phase = 'cancelling'
      where order_id = $1 and status = 'running' and phase in ('open', 'cancelling')`,
    [orderId],
  )
  if (moved.rowCount === 1) return
  const { status } = await readOrder(db, orderId)
  if (status === 'cancelled') return
  throw new AppError('rejected', 'too_late', `The order can no longer be cancelled: ${status}`, {
    next: 'Read the order to see how it goes on or ended.',
  })
}

/**
 * Records the outcome of a round, once: the first one stands, and only its writer is told true.
 * `resume` is that of the run that ends: a run from before the last resume ends nothing any more.
 */
export async function finishOrder(
  db: Db,
  orderId: string,
  round: number,
  end: { outcome: Outcome; code: string | null; summary: OutcomeSummary },
  resume = 0,
): Promise<boolean> {
  // A stuck order keeps its phase: it can be resumed from there.
  const ended = await db.query(
    `update customer_order
        set status = $3, code = $4, summary = $5, finished_at = now(),
            phase = case when $3 = 'stuck' then phase else 'closed' end
      where order_id = $1 and round = $2 and resumes = $6 and status = 'running'`,
    [orderId, round, end.outcome, end.code, storableJson(end.summary), resume],
  )
  return ended.rowCount === 1
}

/**
 * Orders whose run was asked for a while ago and of which nothing was heard since: the process died
 * between the write and the start of the run.
 */
export async function findUnstarted(db: Db, olderThanMs: number, limit: number) {
  const found = await db.query<OrderRow>(
    `select ${columns} from customer_order
      where status = 'running' and not is_started
        and requested_at < now() - make_interval(secs => $1)
      order by requested_at
      limit $2`,
    [olderThanMs / 1_000, limit],
  )
  return found.rows
}

/** Orders that have been running for a while, oldest first. */
export async function findRunning(db: Db, olderThanMs: number, limit: number): Promise<OrderRow[]> {
  const found = await db.query<OrderRow>(
    `select ${columns} from customer_order
      where status = 'running' and requested_at < now() - make_interval(secs => $1)
      order by requested_at
      limit $2`,
    [olderThanMs / 1_000, limit],
  )
  return found.rows
}

/** Orders that wait for a resume. */
export async function countStuck(db: Db): Promise<number> {
  const counted = await db.query<{ n: number }>(
    `select count(*) as n from customer_order where status = 'stuck'`,
  )
  return counted.rows[0]?.n ?? 0
}

/** One text for an order that is not there and for one of another client: nobody can tell them apart. */
export const noSuchOrder = (): AppError =>
  missing('no_such_order', 'There is no such order', {
    next: 'Check the id; GET /orders lists yours.',
  })
