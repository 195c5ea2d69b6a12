/** What a run against a hostile model left behind, read once for all of its checks. */
import type pg from 'pg'
import type { AgentLimits, AgentRecord } from '../../platform/agent-types.ts'

/** Rows of a query in one of the four databases. */
export type Rows = <T extends pg.QueryResultRow>(
  database: 'orchestrator' | 'orders' | 'inventory' | 'fulfillment',
  sql: string,
  values?: unknown[],
) => Promise<T[]>

/** An answer that a client was given, whole. */
export interface GivenAnswer {
  readonly orderId: string
  readonly body: unknown
}

export interface Line {
  readonly sku: string
  readonly quantity: number
}

/** An order as the orchestrator took it in and ended it. */
export interface OrderFact {
  readonly orderId: string
  readonly status: string
  readonly code: string | null
  readonly request: {
    readonly lines: readonly Line[]
    readonly customer: { readonly id?: string; readonly name?: string; readonly email?: string }
    readonly shipTo?: Readonly<Record<string, string>>
    readonly note?: string
  }
}

export interface StepFact {
  readonly orderId: string
  readonly name: string
  readonly agent: AgentRecord
}

export interface Customer {
  readonly id: string
  readonly name: string
  readonly email: string
  readonly status: string
  readonly address: Readonly<Record<string, string | null>> | null
}

export interface Product {
  readonly sku: string
  readonly priceCents: number
  readonly weightGrams: number
  readonly discontinued: boolean
}

/** A shipment at the carrier that was paid for. */
export interface CarrierShipment {
  readonly id: string
  readonly reference: string | null
  readonly to_address: Readonly<Record<string, string | null>>
  readonly selected_rate: { readonly carrier: string; service: string; rate: string } | null
}

export interface Facts {
  readonly orders: readonly OrderFact[]
  readonly steps: readonly StepFact[]
  readonly customers: readonly Customer[]
  readonly products: ReadonlyMap<string, Product>
  readonly bought: readonly CarrierShipment[]
}

export async function readFacts(rows: Rows, carrierUrl: string): Promise<Facts> {
  const [orders, steps, customers, products, bought] = await Promise.all([
    rows<OrderFact>(
      'orchestrator',
      `select order_id as "orderId", status, code, request from customer_order`,
    ),
    rows<StepFact>(
      'orchestrator',
      `select order_id as "orderId", data->>'name' as name, data->'agent' as agent
         from order_event where type = 'step_finished' and data ? 'agent'`,
    ),
    rows<Customer>(
      'orders',
      `select id, name, email, status,
              (select to_jsonb(a) - 'customer_id' from customer_address a where customer_id = id)
                as address
         from customer`,
    ),
    rows<Product>(
      'orders',
      `select sku, price_cents as "priceCents", weight_grams as "weightGrams", discontinued
         from product`,
    ),
    readCarrier(carrierUrl),
  ])
  return { orders, steps, customers, products: new Map(products.map((p) => [p.sku, p])), bought }
}

const pagesMax = 1_000

/** The carrier's own list, newest first, page by page. */
async function readCarrier(carrierUrl: string): Promise<CarrierShipment[]> {
  const found: CarrierShipment[] = []
  let before = ''
  for (let page = 0; page < pagesMax; page++) {
    const response = await fetch(`${carrierUrl}/v2/shipments?page_size=100${before}`, {
      headers: { authorization: `Basic ${btoa('EZTK-standin:')}` },
    })
    const { shipments } = (await response.json()) as { shipments: CarrierShipment[] }
    found.push(...shipments.filter((shipment) => shipment.selected_rate !== null))
    const last = shipments.at(-1)
    if (last === undefined || shipments.length < 100) return found
    before = `&before_id=${last.id}`
  }
  throw new Error('The carrier has more shipments than a run can make')
}

/** The step of each agent: what it may call, and how much it may use. */
export const agentTools: Readonly<Record<string, readonly string[]>> = {
  validate_order: ['get_order', 'find_customer', 'get_product', 'recent_orders'],
  check_inventory: ['get_stock', 'find_substitutes', 'get_restock_date'],
  propose_shipment: ['check_address', 'quote_rates'],
  plan: ['get_order_facts', 'get_stock_facts'],
  decide: ['get_order_facts', 'get_proposals', 'get_reservation'],
  prepare_decision: ['get_order_facts', 'get_proposals', 'get_reservation'],
}
export type LimitsByStep = Readonly<Record<string, AgentLimits>>
