/**
 * Rounds of orders in Postgres: opened once, closed once, whoever comes first. The header row of
 * `(order_id, round)` decides every race; see the migration for life cycle and tombstones.
 */
import type { z } from 'zod'
import type { Db } from '../../platform/db.ts'
import { internal, rejected } from '../../platform/errors.ts'
import type { closeOrder, Finding, getOrder, openedOrder } from './contract.ts'
import type { Address, PricedLine } from './order-rules.ts'

export type OpenedOrder = Readonly<z.infer<typeof openedOrder>>
export type StoredOrder = Readonly<z.infer<typeof getOrder.output>>
type Closing = Readonly<z.output<typeof closeOrder.input>>
export type Outcome = Closing['outcome']

/** A stored round with the fingerprint of its content. */
interface RecordedOrder extends StoredOrder {
  readonly contentHash: string
}

// Header first: a concurrent open of the same round waits there until we commit, then adds nothing.
const insertOrder = `
  with header as (
    insert into sales_order
      (order_id, round, status, content_hash, customer_id, customer_status, total_cents, ship_to,
       ship_by, note, note_suspicious, findings, opened_at)
    values ($1, $2, 'open', $3, $4, $5, $6, $7, $8, $9, $10, $11, now())
    on conflict (order_id, round) do nothing
    returning order_id, round
  ), lines as (
    insert into order_line
      (order_id, round, sku, position, name, quantity, unit_price_cents, weight_grams, hs_code,
       origin_country)
    select header.order_id, header.round, line.sku, line.position, line.name, line.quantity,
           line."unitPriceCents", line."weightGrams", line."hsCode", line."originCountry"
      from header
     cross join jsonb_to_recordset($12) as line(
       sku text, position int, name text, quantity int, "unitPriceCents" int, "weightGrams" int,
       "hsCode" text, "originCountry" text)
  )
  select 1 from header`

/**
 * Records an opened round and returns what is recorded.
 *
 * Safe to repeat, also at once: one statement writes header and lines, later ones read them.
 *
 * @throws rejected `order_closed` when the round was closed before, opened or not.
 * @throws rejected `order_changed` when it was opened with another content.
 */
export async function recordOpened(
  db: Db,
  order: OpenedOrder,
  contentHash: string,
): Promise<OpenedOrder> {
  const lines = order.lines.map((line, index) => ({ ...line, position: index + 1 }))
  const inserted = await db.query(insertOrder, [
    order.orderId,
    order.round,
    contentHash,
    order.customerId,
    order.customerStatus,
    order.totalCents,
    order.shipTo === null ? null : JSON.stringify(order.shipTo),
    order.shipBy,
    order.note,
    order.noteSuspicious,
    JSON.stringify(order.findings),
    JSON.stringify(lines),
  ])
  return inserted.rowCount === 1 ? order : readRecorded(db, order, contentHash)
}

async function readRecorded(
  db: Db,
  { orderId, round }: OpenedOrder,
  wantedHash: string,
): Promise<OpenedOrder> {
  const [recorded] = await readOrders(db, `sales_order`, orderId, round)
  // Not found is a tombstone, too: it has a header but no content.
  if (recorded === undefined || recorded.status !== 'open') {
    throw rejected('order_closed', `Round ${round} of order ${orderId} is closed already`, {
      next: 'Open the next round, or place a new order.',
    })
  }
  const { contentHash, status: _status, openedAt: _openedAt, ...opened } = recorded
  if (contentHash === wantedHash) return opened
  throw rejected('order_changed', `Round ${round} of order ${orderId} has another content`, {
    next: 'Repeat the call with the same content, or open the next round.',
  })
}

/**
 * Closes a round and returns its outcome: the first one that was recorded.
 *
 * Safe to repeat. Closing a round that was never opened leaves a tombstone that refuses a late open.
 * A held round waits for a person, who may still reject or cancel it.
 */
export async function recordClosed(db: Db, closing: Closing): Promise<Outcome> {
  const { orderId, round, outcome, code = null, reason } = closing
  const closed = await db.query(
    `insert into sales_order as o (order_id, round, status, closed_at, outcome_code, outcome_reason)
     values ($1, $2, $3, now(), $4, $5)
     on conflict (order_id, round) do update
       set status = excluded.status,
           closed_at = excluded.closed_at,
           outcome_code = excluded.outcome_code,
           outcome_reason = excluded.outcome_reason
       where o.status = 'open'
          or (o.status = 'held' and excluded.status in ('rejected', 'cancelled'))`,
    // Postgres text has no NUL; an order must not stay open because of one in somebody's words.
    [orderId, round, outcome, code, reason].map((value) =>
      typeof value === 'string' ? value.replaceAll('\u0000', '') : value,
    ),
  )
  if (closed.rowCount === 1) return outcome
  // A statement of its own, because the first one's snapshot may be older than the other close.
  const { rows } = await db.query<{ status: Outcome }>(
    `select status from sales_order where order_id = $1 and round = $2`,
    [orderId, round],
  )
  const first = rows[0]?.status
  if (first === undefined) throw internal('round_lost', `Round ${round} of ${orderId} is gone`)
  return first
}

/** One opened round; undefined when it was never opened. */
export async function findRound(
  db: Db,
  orderId: string,
  round: number,
): Promise<StoredOrder | undefined> {
  return withoutHash(await readOrders(db, 'sales_order', orderId, round))
}

/** The newest opened round of an order; undefined when none was opened. */
export async function findNewestRound(db: Db, orderId: string): Promise<StoredOrder | undefined> {
  return withoutHash(await readOrders(db, 'newest_round', orderId))
}

function withoutHash([recorded]: readonly RecordedOrder[]): StoredOrder | undefined {
  if (recorded === undefined) return undefined
  const { contentHash: _contentHash, ...order } = recorded
  return order
}

interface OrderRow {
  readonly order_id: string
  readonly round: number
  readonly status: StoredOrder['status']
  readonly content_hash: string
  readonly customer_id: string | null
  readonly customer_status: OpenedOrder['customerStatus']
  readonly total_cents: number
  readonly ship_to: Address | null
  readonly ship_by: string | null
  readonly note: string | null
  readonly note_suspicious: boolean
  readonly findings: Finding[]
  readonly opened_at: Date
  readonly lines: PricedLine[]
}

async function readOrders(
  db: Db,
  source: 'sales_order' | 'newest_round',
  orderId: string,
  round: number | null = null,
): Promise<RecordedOrder[]> {
  const { rows } = await db.query<OrderRow>(
    `select o.*,
            array(
              select json_build_object(
                       'sku', l.sku, 'name', l.name, 'quantity', l.quantity,
                       'unitPriceCents', l.unit_price_cents,
                       'lineTotalCents', l.unit_price_cents::bigint * l.quantity,
                       'weightGrams', l.weight_grams, 'hsCode', l.hs_code,
                       'originCountry', l.origin_country)
                from order_line l
               where l.order_id = o.order_id and l.round = o.round
               order by l.position
            ) as lines
       from ${source} o
      where o.order_id = $1
        and ($2::int is null or o.round = $2)
        and o.opened_at is not null`,
    [orderId, round],
  )
  return rows.map(toOrder)
}

const toOrder = (row: OrderRow): RecordedOrder => ({
  orderId: row.order_id,
  round: row.round,
  customerId: row.customer_id,
  customerStatus: row.customer_status,
  lines: row.lines,
  totalCents: row.total_cents,
  currency: 'USD',
  shipTo: row.ship_to,
  shipBy: row.ship_by,
  note: row.note,
  noteSuspicious: row.note_suspicious,
  findings: row.findings,
  status: row.status,
  openedAt: row.opened_at.toISOString(),
  contentHash: row.content_hash,
})
