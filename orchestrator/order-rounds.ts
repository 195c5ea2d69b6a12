/**
 * What a person does with an order that waits: another round, another run, or an end. Each is one
 * conditional update with its event, in one transaction; whoever comes second finds no row.
 */
import { inTransaction, type Pool, type Tx } from '../platform/db.ts'
import { AppError } from '../platform/errors.ts'
import type { Approval } from './approval.ts'
import { appendEvents, type EventType } from './order-events.ts'
import type { OrderRequest } from './order-request.ts'
import { type OrderRow, readOrder } from './order-store.ts'
import type { StoredEnding } from './outcome.ts'
import { storableJson } from './storable.ts'

const roundsMax = 100
const resumesMax = 100

/** Who did it, by which digest; `digest` is absent where nothing is approved. */
export interface Doing {
  readonly by: string
  readonly digest?: string
}

/**
 * Begins the next round of a held order: with what a person approved, or with a changed request.
 *
 * @throws rejected `approval_used`, `not_held`, `too_many_rounds`.
 */
export async function beginRound(
  pool: Pool,
  { orderId, round }: OrderRow,
  doing: Doing,
  change: { readonly approval: Approval } | { readonly request: OrderRequest },
): Promise<OrderRow> {
  if (round >= roundsMax) {
    throw new AppError('rejected', 'too_many_rounds', `An order has at most ${roundsMax} rounds`, {
      next: 'Reject it and place a new order.',
    })
  }
  const approval = 'approval' in change ? change.approval : null
  const request = 'request' in change ? change.request : null
  const type = approval === null ? 'order_edited' : 'order_approved'
  return act(
    pool,
    { orderId, round },
    doing,
    type,
    { ...doing, plan: approval?.plan, request },
    (tx) =>
      tx.query(
        `update customer_order
          set round = round + 1, phase = 'open', status = 'running', code = null, summary = null,
              finished_at = null, resumes = 0, is_started = false, requested_at = now(),
              approval = $3, request = coalesce($4, request)
        where order_id = $1 and round = $2 and status = 'held'`,
        [orderId, round, approval && storableJson(approval), request && storableJson(request)],
      ),
  )
}

/**
 * Ends a held order otherwise: a last run of its round records it everywhere. `phase` is
 * `cancelling` when its client gives it up.
 *
 * @throws rejected `approval_used`, `not_held`, `too_many_resumes`.
 */
export async function dismissOrder(
  pool: Pool,
  { orderId, round }: OrderRow,
  doing: Doing,
  ending: StoredEnding,
  phase: 'ending' | 'cancelling' = 'ending',
): Promise<OrderRow> {
  const { outcome, code } = ending
  return act(
    pool,
    { orderId, round },
    doing,
    'order_dismissed',
    { ...doing, outcome, code },
    (tx) =>
      tx.query(
        `update customer_order
          set status = 'running', code = null, phase = $3, finished_at = null, resumes = resumes + 1,
              is_started = false, requested_at = now(),
              summary = jsonb_set(summary, '{wanted}', $4)
        where order_id = $1 and round = $2 and status = 'held' and resumes < $5`,
        [orderId, round, phase, storableJson(ending), resumesMax],
      ),
  )
}

/**
 * Sends a stuck order on, from where it stands. At most 100 times a round.
 *
 * @throws rejected `not_stuck`, `too_many_resumes`.
 */
export async function resumeOrder(pool: Pool, row: OrderRow, by: string): Promise<OrderRow> {
  const { orderId, round } = row
  return act(pool, { orderId, round }, { by }, 'order_resumed', { by }, (tx) =>
    tx.query(
      `update customer_order
          set status = 'running', code = null, finished_at = null, resumes = resumes + 1,
              is_started = false, requested_at = now()
        where order_id = $1 and round = $2 and status = 'stuck' and resumes < $3`,
      [orderId, round, resumesMax],
    ),
  )
}

async function act(
  pool: Pool,
  key: { readonly orderId: string; readonly round: number },
  doing: Doing,
  type: EventType,
  data: object,
  update: (tx: Tx) => Promise<{ rowCount: number | null }>,
): Promise<OrderRow> {
  return inTransaction(pool, async (tx) => {
    const { rows } = await tx.query<{ resumes: number }>(
      'select resumes from customer_order where order_id = $1 for update',
      [key.orderId],
    )
    const event = { key: doing.digest ?? `${key.round}.${rows[0]?.resumes}:${type}`, type, data }
    const { isNew } = await appendEvents(tx, key, [event])
    const moved = isNew && (await update(tx)).rowCount === 1
    if (moved) return readOrder(tx, key.orderId)
    if (!isNew && doing.digest !== undefined) throw approvalUsed(key.orderId)
    const { status, resumes } = await readOrder(tx, key.orderId)
    const wanted = type === 'order_resumed' ? 'stuck' : 'held'
    if (status === wanted && resumes >= resumesMax) throw tooManyResumes()
    throw wanted === 'stuck' ? notStuck(status) : notHeld(status)
  })
}

/** Whether this digest has begun or ended something already. */
export async function isUsed(pool: Pool, orderId: string, digest: string): Promise<boolean> {
  const found = await pool.query(
    'select 1 from order_event where order_id = $1 and event_key = $2',
    [orderId, digest],
  )
  return found.rowCount === 1
}

export const approvalUsed = (orderId: string) =>
  new AppError('rejected', 'approval_used', 'This digest was used before', {
    next: `Read GET /orders/${orderId} to see what came of it.`,
  })

export const notHeld = (status: string) =>
  new AppError(
    'rejected',
    'not_held',
    `The order is ${status}; only a held one waits for a person`,
    {
      next: 'Read the order to see how it goes on or ended.',
    },
  )

const notStuck = (status: string) =>
  new AppError('rejected', 'not_stuck', `The order is ${status}; only a stuck one can be resumed`, {
    next: 'Read the order to see how it goes on or ended.',
  })

const tooManyResumes = () =>
  new AppError(
    'rejected',
    'too_many_resumes',
    `A round has at most ${resumesMax} runs after its first`,
    {
      next: 'Ask the operator to look at this order; approving or editing a held one still works.',
    },
  )
