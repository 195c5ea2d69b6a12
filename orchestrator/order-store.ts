/** The orchestrator's row of an order: intake, pivot, outcome. */
import type { Db } from '../platform/db.ts'
import { AppError, missing } from '../platform/errors.ts'
import type { OrderRequest } from './order-request.ts'
import type { Outcome, OutcomeSummary } from './outcome.ts'
import { storableJson } from './storable.ts'

export type Phase = 'open' | 'committed' | 'cancelling' | 'closed'

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
  readonly createdAt: Date
  readonly finishedAt: Date | null
}

const columns = `order_id as "orderId", client_id as "clientId", request, label_key as "labelKey",
  trace_id as "traceId", round, phase, status, code, summary, created_at as "createdAt",
  finished_at as "finishedAt"`

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
  return found.rows[0] ?? noSuchOrder(orderId)
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
 * The pivot, and the end of a run that does not get there: from here on a cancel comes too late.
 * True when the run goes on as it decided, also on a repeat; false when a cancel came first.
 */
export async function commitOrder(db: Db, orderId: string, round: number): Promise<boolean> {
  const moved = await db.query(
    `update customer_order set phase = 'committed'
      where order_id = $1 and round = $2 and phase in ('open', 'committed')`,
    [orderId, round],
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

/** Records the outcome of a round, once: the first one stands. */
export async function finishOrder(
  db: Db,
  orderId: string,
  round: number,
  end: { outcome: Outcome; code: string | null; summary: OutcomeSummary },
): Promise<void> {
  // A stuck order keeps its phase: it can be resumed from there.
  await db.query(
    `update customer_order
        set status = $3, code = $4, summary = $5, finished_at = now(),
            phase = case when $3 = 'stuck' then phase else 'closed' end
      where order_id = $1 and round = $2 and status = 'running'`,
    [orderId, round, end.outcome, end.code, storableJson(end.summary)],
  )
}

/**
 * Orders taken in a while ago of which nothing was heard since: the process died between the
 * insert and the start of the run.
 */
export async function findUnstarted(db: Db, olderThanMs: number, limit: number) {
  const found = await db.query<OrderRow>(
    `select ${columns} from customer_order
      where status = 'running' and event_seq = 0
        and created_at < now() - make_interval(secs => $1)
      order by created_at
      limit $2`,
    [olderThanMs / 1_000, limit],
  )
  return found.rows
}

/** Orders that have been running for a while, oldest first. */
export async function findRunning(db: Db, olderThanMs: number, limit: number): Promise<OrderRow[]> {
  const found = await db.query<OrderRow>(
    `select ${columns} from customer_order
      where status = 'running' and created_at < now() - make_interval(secs => $1)
      order by created_at
      limit $2`,
    [olderThanMs / 1_000, limit],
  )
  return found.rows
}

function noSuchOrder(orderId: string): never {
  throw missing('no_such_order', `There is no order ${orderId}`, {
    next: 'Check the id; GET /orders lists yours.',
  })
}
