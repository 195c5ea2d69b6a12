/**
 * What must be true once a run is over, read from the four databases and the carrier's own books.
 * Each check says what it found wrong, in words; none means that the promise held.
 */
import type { Entry, Ledger } from './ledger.ts'
import type { Stage } from './stage.ts'

export interface Breach {
  readonly what: string
  readonly orderId?: string
  readonly detail: string
}

interface OrderRow {
  readonly order_id: string
  readonly idempotency_key: string
  readonly round: number
  readonly status: string
  readonly code: string | null
  readonly tracking: string | null
  readonly lines: { sku: string; quantity: number }[]
  readonly ends: number
}

export interface Books {
  readonly orders: ReadonlyMap<string, OrderRow>
  readonly breaches: readonly Breach[]
  /** Checked numbers, for the report. */
  readonly counts: Readonly<Record<string, number>>
}

/** Checks everything. Call it when no order runs any more. */
export async function checkBooks(stage: Stage, ledger: Ledger): Promise<Books> {
  const breaches: Breach[] = []
  const breach = (what: string, detail: string, orderId?: string) =>
    breaches.push({ what, detail, ...(orderId === undefined ? {} : { orderId }) })
  const rows = await stage.rows<OrderRow>(
    'orchestrator',
    `select o.order_id, o.idempotency_key, o.round, o.status, o.code,
            o.summary->'label'->>'trackingNumber' as tracking, o.request->'lines' as lines,
            (select count(*) from order_event e
              where e.order_id = o.order_id and e.round = o.round
                and e.type = 'order_finished')::int as ends
       from customer_order o`,
  )
  const orders = new Map(rows.map((row) => [row.order_id, row]))
  for (const row of rows) {
    if (row.status === 'running') breach('order not terminal', 'it still runs', row.order_id)
    if (row.ends !== 1) breach('not one end', `${row.ends} were told`, row.order_id)
  }
  await checkStock(stage, orders, breach)
  await checkLabels(stage, orders, breach)
  await checkCopies(stage, orders, breach)
  checkAnswers(ledger.entries, rows, breach)
  for (const oddity of ledger.oddities) breach('an answer no client should get', oddity)
  for (const line of stage.screams.slice(0, 5)) breach('an unhandled error', line.slice(0, 400))
  const counts = new Map<string, number>()
  for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1)
  const answers = ledger.entries.reduce((sum, entry) => sum + entry.answers.length, 0)
  return {
    orders,
    breaches,
    counts: { orders: rows.length, answers, ...Object.fromEntries(counts) },
  }
}

type Tell = (what: string, detail: string, orderId?: string) => void
type Orders = ReadonlyMap<string, OrderRow>

async function checkStock(stage: Stage, orders: Orders, breach: Tell): Promise<void> {
  const stock = await stage.rows<
    Record<'available' | 'held' | 'committed' | 'adjusted', number> & { sku: string }
  >(
    'inventory',
    `select s.sku, s.available::int, s.held::int, s.committed::int,
            coalesce((select sum(quantity) from stock_adjustment a where a.sku = s.sku), 0)::int
              as adjusted
       from stock s`,
  )
  const reservations = await stage.rows<{
    order_id: string
    round: number
    state: string
    lines: { sku: string; quantity: number }[]
  }>(
    'inventory',
    `select r.order_id, r.round, r.state,
            coalesce((select json_agg(json_build_object('sku', sku, 'quantity', quantity) order by sku)
               from reservation_line l where l.order_id = r.order_id and l.round = r.round), '[]')
              as lines
       from reservation r where r.state <> 'released'`,
  )
  const gone = new Map<string, number>()
  const committedOf = new Map<string, number>()
  for (const { order_id: orderId, round, state, lines } of reservations) {
    const order = orders.get(orderId)
    if (state === 'held') {
      breach(
        'a reservation of a finished order',
        `round ${round} is held; ${order?.status}`,
        orderId,
      )
      continue
    }
    committedOf.set(orderId, (committedOf.get(orderId) ?? 0) + 1)
    for (const { sku, quantity } of lines) gone.set(sku, (gone.get(sku) ?? 0) + quantity)
    if (order?.status !== 'fulfilled' || order.round !== round) {
      breach('stock committed for an order that is not fulfilled', `${order?.status}`, orderId)
    } else if (JSON.stringify(lines) !== JSON.stringify(order.lines)) {
      breach('stock committed that was not ordered', JSON.stringify(lines), orderId)
    }
  }
  for (const [orderId, { status }] of orders) {
    const times = committedOf.get(orderId) ?? 0
    if (status === 'fulfilled' && times !== 1) {
      breach('a fulfilled order whose stock is not committed once', `${times} times`, orderId)
    }
  }
  for (const { sku, available, held, committed, adjusted } of stock) {
    const sums = `${sku}: available ${available} + held ${held} + committed ${committed}, adjustments ${adjusted}`
    if (available + held + committed !== adjusted) breach('stock does not add up', sums)
    if (held !== 0) breach('stock is held for nobody', sums)
    if (committed !== (gone.get(sku) ?? 0)) {
      breach('stock committed without an order', `${sums}; orders took ${gone.get(sku) ?? 0}`)
    }
  }
}

interface CarrierBook {
  readonly references: readonly { reference: string | null; bought: number; live: number }[]
}

async function checkLabels(stage: Stage, orders: Orders, breach: Tell): Promise<void> {
  const url = `${stage.platform.urls['carrier-standin']}/standin/book`
  const book = (await (await fetch(url)).json()) as CarrierBook
  const live = new Map<string, number>()
  for (const { reference, live: labels } of book.references) {
    const orderId = reference?.split(':')[0] ?? ''
    live.set(orderId, (live.get(orderId) ?? 0) + labels)
  }
  for (const [orderId, labels] of live) {
    const order = orders.get(orderId)
    if (labels > 1) breach('more than one label', `${labels} at the carrier`, orderId)
    if (labels > 0 && order?.status !== 'fulfilled') {
      breach('a label of an order that is not fulfilled', `${order?.status}`, orderId)
    }
  }
  const shipments = await stage.rows<{
    order_id: string
    round: number
    state: string
    tracking_number: string | null
  }>('fulfillment', 'select order_id, round, state, tracking_number from shipment')
  const bought = new Map(
    shipments.filter(({ state }) => state === 'bought').map((row) => [row.order_id, row]),
  )
  for (const { order_id: orderId, state } of shipments) {
    if (state === 'buying') breach('a purchase nobody finished', 'its shipment is buying', orderId)
  }
  for (const [orderId, { status, tracking, round }] of orders) {
    if (status !== 'fulfilled') continue
    const shipment = bought.get(orderId)
    if (live.get(orderId) !== 1) {
      breach('a fulfilled order without its label', `${live.get(orderId) ?? 0} live`, orderId)
    }
    if (shipment?.tracking_number !== tracking || shipment?.round !== round) {
      breach(
        'a label that is not the one told',
        `${shipment?.tracking_number} / ${tracking}`,
        orderId,
      )
    }
  }
}

/** The order service's copy may lag behind; once all is quiet it must not differ. */
async function checkCopies(stage: Stage, orders: Orders, breach: Tell): Promise<void> {
  const copies = await stage.rows<{ order_id: string; round: number; status: string }>(
    'orders',
    'select order_id, round, status from sales_order',
  )
  const copyOf = new Map(copies.map((row) => [`${row.order_id}:${row.round}`, row.status]))
  for (const [orderId, { status, round }] of orders) {
    const copy = copyOf.get(`${orderId}:${round}`)
    if (status !== 'stuck' && copy !== status) {
      breach('the order service says otherwise', `${copy}, and it is ${status}`, orderId)
    }
  }
}

function checkAnswers(entries: readonly Entry[], rows: readonly OrderRow[], breach: Tell): void {
  const byKey = new Map<string, OrderRow[]>()
  for (const row of rows) {
    byKey.set(row.idempotency_key, [...(byKey.get(row.idempotency_key) ?? []), row])
  }
  for (const entry of entries) {
    const found = byKey.get(`key-${entry.key}`) ?? []
    const [order] = found
    if (found.length !== 1 || order === undefined) {
      breach('a key that is not one order', `${entry.kind} ${entry.key}: ${found.length} orders`)
      continue
    }
    const orderId = order.order_id
    if (entry.answers.length === 0) breach('a client without an answer', entry.kind, orderId)
    for (const told of entry.answers) {
      if (told.orderId !== orderId) breach('two orders of one key', told.orderId, orderId)
      if (told.status === 'running' || told.status === 'stuck') continue
      const truth = `${order.status} ${order.code ?? undefined} ${order.tracking ?? undefined}`
      const said = `${told.status} ${told.code} ${told.trackingNumber}`
      if (said !== truth) breach('an answer that is not true', `told ${said}; is ${truth}`, orderId)
    }
    if (entry.cancel === 202 && order.status !== 'cancelled') {
      breach('a cancel that was accepted and not kept', order.status, orderId)
    }
    if (entry.cancel === 409 && order.code === 'cancelled_by_client') {
      breach('a cancel that was refused and done', order.status, orderId)
    }
  }
}
