/**
 * The rules of customers, catalogue and limits, as pure functions: what an order costs, where it
 * goes, and everything that speaks against it. Money is in integer US cents.
 */
import type { z } from 'zod'
import { internal } from '../../platform/errors.ts'
import type { address, Finding, openOrder, pricedLine } from './contract.ts'

export type Address = Readonly<z.infer<typeof address>>
export type PricedLine = Readonly<z.infer<typeof pricedLine>>
export type OrderRequest = Readonly<z.output<typeof openOrder.input>>
type Line = Readonly<{ sku: string; quantity: number }>

export interface Product {
  readonly sku: string
  readonly name: string
  readonly priceCents: number
  readonly weightGrams: number
  readonly discontinued: boolean
  readonly hsCode: string
  readonly originCountry: string
}

export interface Customer {
  readonly id: string
  readonly name: string
  readonly status: 'active' | 'blocked'
  readonly customerSince: string
  /** The default address; null when none is on file. */
  readonly address: Address | null
}

/** What the database knows about a request. Two customers stand for any number above one. */
export interface Facts {
  readonly customers: readonly Customer[]
  readonly products: readonly Product[]
}

export interface Assessment {
  /** Null when no customer, or more than one, fits. */
  readonly customer: Customer | null
  /** Lines that the catalogue knows; an unknown sku has a finding instead of a price. */
  readonly lines: readonly PricedLine[]
  readonly totalCents: number
  readonly shipTo: Address | null
  /** Most serious first: `rejected` before `held`. */
  readonly findings: readonly Finding[]
}

/** Prices a request and checks it against every rule. `limitCents`: above it a person decides. */
export function assessOrder(request: OrderRequest, facts: Facts, limitCents: number): Assessment {
  const wanted = mergeLines(request.lines)
  const products = new Map(facts.products.map((product) => [product.sku, product]))
  const customer = facts.customers.length === 1 ? (facts.customers[0] ?? null) : null
  const shipTo = request.shipTo ?? customer?.address ?? null
  const lines = priceLines(wanted, products)
  const totalCents = sumCents(lines)
  return {
    customer,
    lines,
    totalCents,
    shipTo,
    findings: [
      ...checkCustomer(facts.customers, 'id' in request.customer),
      ...checkSkus(wanted, products),
      ...checkAddress(shipTo, customer),
      ...checkLimit(totalCents, limitCents),
    ],
  }
}

/** One line a sku, in the order in which skus first appear. */
export function mergeLines(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>()
  for (const { sku, quantity } of lines) {
    quantities.set(sku, (quantities.get(sku) ?? 0) + quantity)
  }
  return [...quantities].map(([sku, quantity]) => ({ sku, quantity }))
}

/** The lines with what the catalogue says of them now. Skus it does not know are left out. */
export function priceLines(
  lines: readonly Line[],
  products: ReadonlyMap<string, Product>,
): PricedLine[] {
  return lines.flatMap(({ sku, quantity }) => {
    const product = products.get(sku)
    if (product === undefined) return []
    const { name, priceCents, weightGrams, hsCode, originCountry } = product
    const lineTotalCents = safeCents(priceCents * quantity)
    const unitPriceCents = priceCents
    return [
      { sku, name, quantity, unitPriceCents, lineTotalCents, weightGrams, hsCode, originCountry },
    ]
  })
}

/** @throws internal `unsafe_total` beyond exact integers; the catalogue's own limits prevent it. */
export function sumCents(lines: readonly Pick<PricedLine, 'lineTotalCents'>[]): number {
  return lines.reduce((sum, line) => safeCents(sum + line.lineTotalCents), 0)
}

function safeCents(cents: number): number {
  if (Number.isSafeInteger(cents)) return cents
  throw internal('unsafe_total', `An amount of ${cents} cents is not an exact integer`)
}

const rejection = (code: string, message: string, next: string, sku?: string): Finding => ({
  code,
  outcome: 'rejected',
  message,
  next,
  ...(sku === undefined ? {} : { sku }),
})

// A finding never tells who the other customers are: whoever asks may not be one of them.
function checkCustomer(customers: readonly Customer[], byId: boolean): Finding[] {
  const [first] = customers
  if (first === undefined) {
    const message = `No customer has this ${byId ? 'id' : 'name, or not with this e-mail'}.`
    return [rejection('unknown_customer', message, 'Check it, or register the customer first.')]
  }
  if (customers.length > 1) {
    const next = 'Order again with the e-mail or the id of the customer.'
    return [rejection('ambiguous_customer', 'More than one customer has this name.', next)]
  }
  if (first.status === 'active') return []
  const next = 'Ask the accounts team to lift the block.'
  return [rejection('blocked_customer', 'The customer is blocked.', next)]
}

function checkSkus(lines: readonly Line[], products: ReadonlyMap<string, Product>): Finding[] {
  return lines.flatMap(({ sku }) => {
    const product = products.get(sku)
    if (product === undefined) {
      const next = 'Check the sku and order again.'
      return [rejection('unknown_sku', `The catalogue has no ${sku}.`, next, sku)]
    }
    if (!product.discontinued) return []
    const message = `${product.name} (${sku}) is not sold any more.`
    return [rejection('discontinued_sku', message, 'Leave it out or choose another product.', sku)]
  })
}

function checkAddress(shipTo: Address | null, customer: Customer | null): Finding[] {
  if (shipTo === null) {
    if (customer === null) return [] // there is nobody yet whose address could be missing
    const message = 'The customer has no address on file and the order names none.'
    return [rejection('no_address', message, 'Order again with shipTo.')]
  }
  if (shipTo.country !== 'US' || shipTo.region !== undefined) return []
  const next = 'Order again with shipTo and its region, such as IL.'
  return [rejection('no_address', 'The address is in the US but names no state.', next)]
}

function checkLimit(totalCents: number, limitCents: number): Finding[] {
  if (totalCents <= limitCents) return []
  const message = `The total of ${formatCents(totalCents)} USD is above ${formatCents(limitCents)} USD.`
  return [{ code: 'over_limit', outcome: 'held', message, next: 'A person has to approve it.' }]
}

/** 123456 is "1234.56". */
export function formatCents(cents: number): string {
  const digits = String(cents).padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
}
