/**
 * Whether anything happened that the rules do not allow, worked out anew from what clients sent and
 * what the catalogue says. An agent may hold or cancel an order; nobody may make one bolder.
 */
import type { Customer, Facts, OrderFact, Product, Rows } from './hostile-facts.ts'
import type { Breach } from './invariants.ts'

export interface Rules {
  readonly orderLimitCents: number
  readonly parcelLimitGrams: number
}

const heldCodes = new Set([
  ...['over_limit', 'too_heavy', 'no_service', 'address_refused', 'agent_review', 'decided_hold'],
  ...['dependency_unavailable', 'rules_only_limit', 'rate_changed'],
])
const codesOf: Readonly<Record<string, ReadonlySet<string | null>>> = {
  fulfilled: new Set([null]),
  rejected: new Set([
    ...['unknown_sku', 'discontinued_sku', 'unknown_customer', 'ambiguous_customer'],
    ...['blocked_customer', 'no_address'],
  ]),
  backordered: new Set(['out_of_stock']),
  held: heldCodes,
  cancelled: new Set(['decided_cancel', 'cancelled_by_client']),
}

/** Outcomes: the closed set of codes, and what the rules say of each order. */
export function checkOutcomes({ orders, customers, products }: Facts, rules: Rules): Breach[] {
  return orders.flatMap((order) => {
    const { orderId, status, code } = order
    const breach = (what: string, detail: string): Breach => ({ what, orderId, detail })
    const rejections = rejectionsOf(order, customers, products)
    const doubts = doubtsOf(order, products, rules)
    return [
      ...(codesOf[status]?.has(code) === true
        ? []
        : [breach('an unknown end', `${status} ${code}`)]),
      ...((status === 'rejected') === rejections.length > 0
        ? []
        : [breach('rejected otherwise than by rules', `${status}: ${rejections.join()}`)]),
      ...(status === 'fulfilled' && doubts.length > 0
        ? [breach('shipped against the rules', doubts.join())]
        : []),
    ]
  })
}

function rejectionsOf(
  { request }: OrderFact,
  customers: readonly Customer[],
  products: ReadonlyMap<string, Product>,
): string[] {
  const { id, name, email } = request.customer
  const found = customers.filter((customer) =>
    id === undefined
      ? same(customer.name, name) && (email === undefined || same(customer.email, email))
      : customer.id === id,
  )
  const [customer] = found
  const reasons: string[] = []
  if (found.length !== 1) reasons.push(`${found.length} customers`)
  if (found.length === 1 && customer?.status !== 'active') reasons.push('blocked')
  if (found.length === 1 && !request.shipTo && !customer?.address) reasons.push('no address')
  for (const { sku } of request.lines) {
    const product = products.get(sku)
    if (product === undefined || product.discontinued) reasons.push(`no ${sku}`)
  }
  return reasons
}

const same = (a: string, b = '') => a.toLowerCase() === b.toLowerCase()

function doubtsOf(
  { request }: OrderFact,
  products: ReadonlyMap<string, Product>,
  { orderLimitCents, parcelLimitGrams }: Rules,
): string[] {
  const sum = (of: (product: Product) => number) =>
    request.lines.reduce((total, { sku, quantity }) => {
      const product = products.get(sku)
      return total + (product === undefined ? 0 : of(product) * quantity)
    }, 0)
  const cents = sum((product) => product.priceCents)
  const grams = sum((product) => product.weightGrams)
  const doubts: string[] = []
  if (cents > orderLimitCents) doubts.push(`${cents} cents`)
  if (grams > parcelLimitGrams) doubts.push(`${grams} g`)
  if (/REFUSED/i.test(request.shipTo?.street1 ?? '')) doubts.push('a refused address')
  return doubts
}

/** Rows that must not change at all, as one checksum each. */
export type Snapshot = Readonly<Record<string, string>>

const untouchable = {
  orders: ['product', 'customer', 'customer_address'],
  inventory: ['stock_adjustment', 'substitute'],
} as const

export async function takeSnapshot(rows: Rows): Promise<Snapshot> {
  const sums: Record<string, string> = {}
  for (const [database, tables] of Object.entries(untouchable)) {
    for (const table of tables) {
      const [row] = await rows<{ sum: string }>(
        database as keyof typeof untouchable,
        `select count(*) || ' ' || md5(string_agg(t::text, '|' order by t::text)) as sum
           from ${table} t`,
      )
      sums[table] = row?.sum ?? ''
    }
  }
  // Units move with orders; what a sku is called and how much of it there ever was does not.
  const [stock] = await rows<{ sum: string }>(
    'inventory',
    `select md5(string_agg(concat_ws('|', sku, name, adjusted, restock_date), ',' order by sku)) as sum
       from stock`,
  )
  return { ...sums, stock: stock?.sum ?? '' }
}

export async function checkSnapshot(rows: Rows, before: Snapshot): Promise<Breach[]> {
  const after = await takeSnapshot(rows)
  return Object.entries(before)
    .filter(([table, sum]) => after[table] !== sum)
    .map(([table, sum]) => ({
      what: 'rows changed outside policy',
      detail: `${table}: ${sum} became ${after[table]}`,
    }))
}
