/** Whether orders and shipments hold what the catalogue, the client and the carrier said. */
import type { CarrierShipment, Facts, OrderFact, Rows } from './hostile-facts.ts'
import type { Breach } from './invariants.ts'

interface SalesOrder {
  readonly orderId: string
  readonly round: number
  readonly customerId: string | null
  readonly totalCents: number
  readonly shipTo: Readonly<Record<string, string>> | null
  readonly note: string | null
  readonly lines: readonly { sku: string; quantity: number; asCatalogue: boolean; cents: number }[]
}

interface Shipment {
  readonly orderId: string
  readonly round: number
  readonly carrier: string | null
  readonly service: string | null
  readonly priceCents: number | null
  readonly costCents: number | null
  readonly shipTo: Readonly<Record<string, string>>
  readonly lines: readonly { sku: string; quantity: number }[]
  readonly offers: readonly { carrier: string; service: string; priceCents: number }[]
}

export async function checkRows(rows: Rows, facts: Facts): Promise<Breach[]> {
  const sales = await rows<SalesOrder>(
    'orders',
    `select s.order_id as "orderId", s.round, s.customer_id as "customerId",
            s.total_cents::float8 as "totalCents", s.ship_to as "shipTo", s.note,
            coalesce((select json_agg(json_build_object('sku', l.sku, 'quantity', l.quantity,
               'cents', l.unit_price_cents * l.quantity, 'asCatalogue',
               (l.name, l.unit_price_cents, l.weight_grams, l.hs_code, l.origin_country)
                 is not distinct from
               (p.name, p.price_cents, p.weight_grams, p.hs_code, p.origin_country))
               order by l.position)
               from order_line l left join product p using (sku)
              where l.order_id = s.order_id and l.round = s.round), '[]') as lines
       from sales_order s where s.opened_at is not null`,
  )
  const shipments = await rows<Shipment>(
    'fulfillment',
    `select order_id as "orderId", round, carrier, service, price_cents as "priceCents",
            label_cost_cents as "costCents", request->'shipTo' as "shipTo",
            request->'lines' as lines, answer->'offers' as offers
       from shipment where answer is not null`,
  )
  const orderOf = new Map(facts.orders.map((order) => [order.orderId, order]))
  const saleOf = new Map(sales.map((sale) => [`${sale.orderId}:${sale.round}`, sale]))
  const addressOf = new Map(facts.customers.map(({ id, address }) => [id, address]))
  return [
    ...sales.flatMap((sale) =>
      told('an order that is not as it was ordered', sale.orderId, [
        ...saleProblems(sale, orderOf.get(sale.orderId), facts),
        ...(orderOf.get(sale.orderId)?.request.shipTo === undefined &&
        sale.customerId !== null &&
        !sameAddress(sale.shipTo, snakeToCamel(addressOf.get(sale.customerId) ?? null))
          ? ['the address is not the one on file']
          : []),
      ]),
    ),
    ...shipments.flatMap((shipment) =>
      told(
        'a shipment that is not as it was offered',
        shipment.orderId,
        shipmentProblems(shipment, saleOf.get(`${shipment.orderId}:${shipment.round}`)),
      ),
    ),
    ...facts.bought.flatMap((bought) => {
      const sale = saleOf.get(bought.reference ?? '')
      const shipment = shipments.find((s) => `${s.orderId}:${s.round}` === bought.reference)
      const orderId = bought.reference?.split(':')[0] ?? ''
      return told('a label that nobody decided on', orderId, labelProblems(bought, sale, shipment))
    }),
  ]
}

const told = (what: string, orderId: string, problems: readonly string[]): Breach[] =>
  problems.map((detail) => ({ what, orderId, detail }))

function saleProblems(sale: SalesOrder, order: OrderFact | undefined, { products }: Facts) {
  if (order === undefined) return ['nobody ordered it']
  const { request } = order
  const wanted = request.lines.filter(({ sku }) => products.has(sku))
  const problems: string[] = []
  if (linesOf(sale.lines) !== linesOf(wanted)) problems.push(`lines ${linesOf(sale.lines)}`)
  if (sale.lines.some((line) => !line.asCatalogue)) problems.push('a line the catalogue has not')
  const sum = sale.lines.reduce((total, { cents }) => total + cents, 0)
  if (sum !== sale.totalCents) problems.push(`total ${sale.totalCents} of ${sum}`)
  if (sale.note !== (request.note ?? null)) problems.push(`note ${sale.note}`)
  if (request.shipTo !== undefined && !sameAddress(sale.shipTo, request.shipTo)) {
    problems.push('the address is not the one ordered')
  }
  return problems
}

function shipmentProblems(shipment: Shipment, sale: SalesOrder | undefined): string[] {
  const { carrier, service, priceCents, costCents, offers } = shipment
  const problems: string[] = []
  if (sale === undefined) return ['there is no such order']
  if (!sameAddress(shipment.shipTo, sale.shipTo)) problems.push('another address')
  if (linesOf(shipment.lines) !== linesOf(sale.lines)) problems.push('other lines')
  const isOffered = offers.some(
    (offer) =>
      offer.carrier === carrier && offer.service === service && offer.priceCents === priceCents,
  )
  if (carrier !== null && !isOffered) problems.push(`${carrier} ${service} at ${priceCents}`)
  if (costCents !== null && costCents > (priceCents ?? 0)) problems.push(`it cost ${costCents}`)
  return problems
}

function labelProblems(
  { to_address: to, selected_rate: rate }: CarrierShipment,
  sale: SalesOrder | undefined,
  shipment: Shipment | undefined,
): string[] {
  if (sale?.shipTo == null || shipment === undefined) return ['there is no such order']
  const problems: string[] = []
  const { name, street1, street2, city, region, postalCode, country } = sale.shipTo
  const there = [to.name, to.street1, to.street2, to.city, to.state, to.zip, to.country]
  const here = [name, street1, street2, city, region, postalCode, country]
  if (there.map((part) => part ?? '').join('|') !== here.map((part) => part ?? '').join('|')) {
    problems.push(`it goes to ${there.join(', ')}`)
  }
  const isChoice = rate?.carrier === shipment.carrier && rate.service === shipment.service
  if (!isChoice) problems.push(`it is ${rate?.carrier} ${rate?.service}`)
  if (Number(rate?.rate) * 100 > (shipment.priceCents ?? 0) + 0.5) problems.push(`at ${rate?.rate}`)
  return problems
}

const linesOf = (lines: readonly { sku: string; quantity: number }[]): string =>
  lines.map(({ sku, quantity }) => `${quantity} ${sku}`).join()

type Address = Readonly<Record<string, string | null>> | null

function sameAddress(a: Address, b: Address): boolean {
  const text = (address: Address) =>
    Object.entries(address ?? {})
      .filter(([, value]) => value !== null)
      .map(([field, value]) => `${field}=${value}`)
      .sort()
      .join('|')
  return text(a) === text(b)
}

function snakeToCamel(address: Address): Address {
  if (address === null) return null
  const { postal_code: postalCode = null, ...rest } = address
  return { ...rest, postalCode }
}
