/** What a run knows, in the forms that rules, agents and answers want. Pure. */
import type { z } from 'zod'
import type { label, proposeShipment } from '../../services/fulfillment/contract.ts'
import type { checkInventory } from '../../services/inventory/contract.ts'
import type { address, Finding, openedOrder, validateOrder } from '../../services/order/contract.ts'
import type { Warning } from '../outcome.ts'
import { type Checks, sameLines } from './decide-rules.ts'

export type Opened = z.output<typeof openedOrder>
export type Address = z.output<typeof address>

export interface Proposals {
  readonly validation: z.output<typeof validateOrder.output> | null
  readonly availability: z.output<typeof checkInventory.output> | null
  readonly shipment: z.output<typeof proposeShipment.output> | null
}

/**
 * What a run has found out so far, kept as it goes: whatever way the run ends, and wherever it was
 * when something failed, its ending tells all of it.
 */
export interface Knowledge {
  opened?: Opened
  /** Those that were made, also where another one failed. */
  proposals?: Proposals
  /** Of rules and agents, in the order in which they were found. */
  findings: readonly Finding[]
  /** Of an earlier run of this round: what was said then is said again. */
  warnings?: readonly Warning[]
  /** Bought and not voided. */
  label?: z.output<typeof label>
}

/** The day on which an order was accepted, in UTC: the same on every replay. */
export const dayOf = (acceptedAtMs: number): string =>
  new Date(acceptedAtMs).toISOString().slice(0, 10)

export interface StockFacts {
  readonly lines: readonly { sku: string; quantity: number; available: number }[]
  readonly short: readonly string[]
}

/** What `get_order_facts` shows an agent. `today` is YYYY-MM-DD: models know no date. */
export function factsOf(opened: Opened, today: string): object {
  const { orderId, round, lines, totalCents, currency, shipBy, note, findings } = opened
  const { city, region, postalCode, country } = opened.shipTo ?? {}
  return {
    orderId,
    round,
    today,
    lines: lines.map(({ hsCode: _hs, originCountry: _origin, ...line }) => line),
    totalCents,
    currency,
    customer: { customerId: opened.customerId, status: opened.customerStatus, country },
    shipTo: { city, region, postalCode, country },
    shipBy,
    note,
    findings: findings.map(({ next: _next, ...finding }) => finding),
  }
}

/** Ordered against free units, as SQL read them. */
export function stockFactsOf(
  opened: Opened,
  stock: readonly { sku: string; available: number }[],
): StockFacts {
  const free = new Map(stock.map(({ sku, available }) => [sku, available]))
  const lines = opened.lines.map(({ sku, quantity }) => ({
    sku,
    quantity,
    available: free.get(sku) ?? 0,
  }))
  const short = lines.filter((l) => l.available < l.quantity).map((l) => l.sku)
  return { lines, short }
}

/** An agent that the plan skipped: its question was settled without it. */
const skipped = { by: 'skipped', verdict: null } as const

/** What `get_proposals` shows the deciding agent; null is a proposal that is missing. */
export function proposalsOf(
  { validation, availability, shipment }: Proposals,
  skippedByPlan: readonly string[],
): object {
  const orSkipped = (name: string, proposal: object | null) =>
    proposal === null && skippedByPlan.includes(name) ? skipped : proposal
  return {
    validate_order: orSkipped(
      'validate_order',
      validation && {
        by: validation.by,
        verdict: validation.verdict,
        risk: validation.risk,
        reasons: validation.reasons,
        noteContainsInstructions: validation.noteContainsInstructions,
      },
    ),
    check_inventory: orSkipped(
      'check_inventory',
      availability && {
        by: availability.by,
        verdict: availability.verdict,
        lines: availability.lines,
        reasons: availability.reasons,
      },
    ),
    propose_shipment: orSkipped(
      'propose_shipment',
      shipment && {
        by: shipment.by,
        verdict: shipment.verdict,
        carrier: shipment.proposal?.carrier ?? null,
        service: shipment.proposal?.service ?? null,
        priceCents: shipment.proposal?.priceCents ?? null,
        deliveryDays: shipment.proposal?.deliveryDays ?? null,
        reasons: shipment.reasons,
      },
    ),
  }
}

/** The invariants that must hold before postage is spent. */
export function checksOf(
  opened: Opened,
  reserved: readonly { sku: string; quantity: number }[],
  parcelTo: Address,
  orderLimitCents: number,
): Checks {
  return {
    reservedEqualsOrdered: sameLines(reserved, opened.lines),
    addressEqualsStored: opened.shipTo !== null && sameAddress(parcelTo, opened.shipTo),
    totalWithinLimit: opened.totalCents <= orderLimitCents,
  }
}

const addressFields = [
  'name',
  'street1',
  'street2',
  'city',
  'region',
  'postalCode',
  'country',
] as const

export const sameAddress = (a: Address, b: Address): boolean =>
  addressFields.every((field) => a[field] === b[field])

const held = (message: string): Finding => ({
  code: 'agent_review',
  outcome: 'held',
  message,
  next: 'A person must look at this order.',
})

const said = (reasons: readonly string[]) => reasons.join(' ') || 'no reason was given'

/** An agent's doubt, and a shortage, as findings beside those of the rules. */
export const reviewFindings = {
  plan: (reasons: readonly string[]) =>
    held(`The planning agent asks for a person: ${said(reasons)}`),

  of: ({ validation, availability, shipment }: Proposals): Finding[] => {
    const findings: Finding[] = []
    if (validation?.verdict === 'review') {
      findings.push(held(`The validation agent has doubts: ${said(validation.reasons)}`))
    }
    if (availability?.verdict === 'review') {
      findings.push(held(`The inventory agent has doubts: ${said(availability.reasons)}`))
    }
    if (shipment?.verdict === 'review') {
      findings.push(held(`The fulfillment agent has doubts: ${said(shipment.reasons)}`))
    }
    return findings
  },

  /** Rules alone ship what is small: a larger order that no model could judge waits for a person. */
  unjudged: (by: string | undefined, { totalCents }: Opened, limitCents = Infinity): Finding[] =>
    by !== 'rules' || totalCents <= limitCents
      ? []
      : [
          {
            code: 'rules_only_limit',
            outcome: 'held',
            message: `No model could judge the order, and rules alone ship up to ${usd(limitCents)} USD`,
            next: 'Approve it, or edit it: an edited order is judged again.',
          },
        ],

  shortage: (availability: Proposals['availability'], stock: StockFacts): Finding[] => {
    const byAgent = availability?.lines.filter((line) => line.short > 0).map((line) => line.sku)
    const short = [...new Set([...(byAgent ?? []), ...stock.short])]
    return short.length === 0 ? [] : [shortageOf(short)]
  },
}

const usd = (cents: number): string => (cents / 100).toFixed(2)

export const shortageOf = (skus: readonly string[]): Finding => ({
  code: 'out_of_stock',
  outcome: 'backordered',
  message: `Not enough stock of ${skus.join(', ')}; nothing was reserved`,
  next: 'Order again when it is restocked, order less, or order a substitute named in `backorder`.',
})
