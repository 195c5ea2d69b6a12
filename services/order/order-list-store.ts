/** Lists of orders: each order once, by the newest round that was opened. Reads only. */
import type { z } from 'zod'
import type { Db } from '../../platform/db.ts'
import { invalid } from '../../platform/errors.ts'
import type { findOrders } from './contract.ts'

type Query = Readonly<z.output<typeof findOrders.input>>
type Page = z.input<typeof findOrders.output>
export type ListedOrder = Page['orders'][number]

const recentMax = 10
/** A customer with more orders a day is told apart by nobody, and counting takes time. */
const countedMax = 1_000

interface ListRow {
  readonly order_id: string
  readonly round: number
  readonly customer_id: string | null
  readonly total_cents: number
  readonly status: ListedOrder['status']
  readonly opened_at: Date
}

/** A page of orders, newest first; `nextCursor` is null on the last one. */
export async function listOrders(db: Db, query: Query): Promise<Page> {
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor)
  const { rows } = await db.query<ListRow>(
    `select order_id, round, customer_id, total_cents, status, opened_at
       from newest_round
      where ($1::text is null or customer_id = $1)
        and ($2::text is null or status = $2)
        and ($3::timestamptz is null or (opened_at, order_id) < ($3, $4::uuid))
      order by opened_at desc, order_id desc
      limit $5`,
    [
      query.customerId ?? null,
      query.status ?? null,
      after?.openedAt ?? null,
      after?.orderId ?? null,
      query.limit + 1, // one more tells whether there is a next page
    ],
  )
  const orders = rows.slice(0, query.limit).map(toListed)
  const last = orders.at(-1)
  const hasMore = rows.length > query.limit && last !== undefined
  return { orders, nextCursor: hasMore ? writeCursor(last) : null }
}

const toListed = (row: ListRow): ListedOrder => ({
  orderId: row.order_id,
  round: row.round,
  customerId: row.customer_id,
  totalCents: row.total_cents,
  status: row.status,
  openedAt: row.opened_at.toISOString(),
})

interface Position {
  readonly openedAt: string
  readonly orderId: string
}

const cursorForm = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f-]{36})$/

function writeCursor({ openedAt, orderId }: Position): string {
  return Buffer.from(`${openedAt} ${orderId}`).toString('base64url')
}

function readCursor(cursor: string): Position {
  const match = cursorForm.exec(Buffer.from(cursor, 'base64url').toString('utf8'))
  const [, openedAt, orderId] = match ?? []
  const isTime = openedAt !== undefined && !Number.isNaN(Date.parse(openedAt))
  if (isTime && orderId !== undefined) return { openedAt, orderId }
  throw invalid('bad_cursor', 'The cursor is not one that find_orders gave', {
    next: 'Start again without a cursor.',
  })
}

export interface RecentOrders {
  readonly orders: readonly ListedOrder[]
  /** Orders opened within the last 24 hours, counted up to 1,000; `orders` shows the newest ten. */
  readonly last24h: { readonly count: number; readonly totalCents: number }
}

/** What else a customer ordered lately: every order but `exceptOrderId`. */
export async function findRecentOrders(
  db: Db,
  customerId: string,
  exceptOrderId: string,
): Promise<RecentOrders> {
  const [newest, lastDay] = await Promise.all([
    db.query<ListRow>(
      `select order_id, round, customer_id, total_cents, status, opened_at
         from newest_round
        where customer_id = $1 and order_id <> $2
        order by opened_at desc, order_id desc
        limit $3`,
      [customerId, exceptOrderId, recentMax],
    ),
    db.query<{ count: number; total_cents: number }>(
      `select count(*) as count, coalesce(sum(total_cents), 0)::bigint as total_cents
         from (
           select total_cents
             from newest_round
            where customer_id = $1 and order_id <> $2 and opened_at > now() - interval '24 hours'
            order by opened_at desc, order_id desc
            limit $3
         ) as last_day`,
      [customerId, exceptOrderId, countedMax],
    ),
  ])
  const { count = 0, total_cents: totalCents = 0 } = lastDay.rows[0] ?? {}
  return { orders: newest.rows.map(toListed), last24h: { count, totalCents } }
}
