/**
 * What a person would approve: exactly what the next round of a held order would run, as of now, and
 * its digest. Prices, address, stock and postage are asked for afresh each time, so whatever has
 * changed since makes a digest stale.
 */
import { createHash } from 'node:crypto'
import { named, toWire } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import type { McpCaller } from '../platform/mcp-client.ts'
import { quoteShipment } from '../services/fulfillment/contract.ts'
import { getStock } from '../services/inventory/contract.ts'
import { type Finding, quoteOrder } from '../services/order/contract.ts'
import { canonical } from './order-request.ts'
import type { OrderRow } from './order-store.ts'
import type { Address } from './workflows/facts.ts'

export interface ApprovalPlan {
  readonly orderId: string
  /** The round that would begin. */
  readonly round: number
  readonly lines: readonly {
    readonly sku: string
    readonly quantity: number
    readonly unitPriceCents: number
    /** Whether free stock covers the line. The number itself changes with every other order. */
    readonly inStock: boolean
  }[]
  readonly totalCents: number
  readonly currency: 'USD'
  readonly shipTo: Address | null
  readonly shipBy: string | null
  /** The service that rules choose now, at the most it may cost. Null when none takes the parcel. */
  readonly shipment: {
    readonly carrier: string
    readonly service: string
    readonly priceCents: number
    readonly weightGrams: number
    readonly international: boolean
  } | null
  /** What an approval overrules. */
  readonly overrides: readonly { readonly code: string; readonly message: string }[]
}

/** Kept with the order once a person has approved. */
export interface Approval {
  readonly by: string
  readonly digest: string
  readonly plan: ApprovalPlan
}

export type Approvable =
  | { readonly approvable: true }
  | { readonly approvable: false; readonly why: string; readonly next: string }

export type ApprovalOffer =
  | ({
      readonly available: true
      readonly digest: string
      readonly plan: ApprovalPlan
    } & Approvable)
  /** A service is away or broken: nothing can be approved just now. */
  | { readonly available: false; readonly code: string; readonly message: string }

export interface ApprovalDeps {
  readonly log: Log
  readonly order: McpCaller
  readonly inventory: McpCaller
  readonly fulfillment: McpCaller
}

const askMs = 5_000
/** Objections that a person may overrule. Others need another order, not another opinion. */
const overridable = new Set([
  'over_limit',
  'agent_review',
  'decided_hold',
  'rules_only_limit',
  'approval_stale',
  'rate_changed',
  'dependency_unavailable',
  'internal_error',
  'run_failed',
])

/** What approving this held order would run. Never throws: who reads an order must be able to. */
export async function offerApproval(deps: ApprovalDeps, row: OrderRow): Promise<ApprovalOffer> {
  try {
    return await makeOffer(deps, row)
  } catch (cause) {
    const { orderId, traceId } = row
    const fields = { err: cause, orderId, traceId }
    if (named(cause).kind === 'internal') deps.log.error(fields, 'no approval')
    const { code, message } = toWire(cause)
    return { available: false, code, message }
  }
}

async function makeOffer(deps: ApprovalDeps, row: OrderRow): Promise<ApprovalOffer> {
  const { orderId, traceId, request } = row
  const round = row.round + 1
  const options = { timeoutMs: askMs, traceId, orderId }
  const skus = request.lines.map((line) => line.sku)
  const [quoted, { stock }] = await Promise.all([
    deps.order.call(quoteOrder, { orderId, round, ...request }, options),
    deps.inventory.call(getStock, { skus }, options),
  ])
  const { lines, shipTo, shipBy } = quoted
  const parcel =
    lines.length === 0 || shipTo === null
      ? null
      : await deps.fulfillment.call(
          quoteShipment,
          { orderId, lines, shipTo, shipBy, serviceLevel: 'cheapest' },
          options,
        )
  const free = new Map(stock.map(({ sku, available }) => [sku, available]))
  const objections = [...quoted.findings, ...(parcel?.findings ?? [])]
  const plan: ApprovalPlan = {
    orderId,
    round,
    lines: lines.map(({ sku, quantity, unitPriceCents }) => {
      return { sku, quantity, unitPriceCents, inStock: (free.get(sku) ?? 0) >= quantity }
    }),
    totalCents: quoted.totalCents,
    currency: 'USD',
    shipTo,
    shipBy,
    shipment: parcel?.proposal ? shipmentOf(parcel.proposal, parcel) : null,
    overrides: overridesOf(row, objections),
  }
  return { available: true, digest: digestOf(plan), plan, ...judge(plan, objections) }
}

function shipmentOf(
  { carrier, service, priceCents }: { carrier: string; service: string; priceCents: number },
  { weightGrams, international }: { weightGrams: number; international: boolean },
) {
  return { carrier, service, priceCents, weightGrams, international }
}

/** What held the order and still stands or was somebody's opinion: each code once, in order. */
function overridesOf(
  { code, summary }: OrderRow,
  now: readonly Finding[],
): ApprovalPlan['overrides'] {
  const held = { code: code ?? '', message: summary?.message ?? '' }
  const said = [...now, ...(summary?.findings ?? []), held]
  const byCode = new Map<string, { code: string; message: string }>()
  for (const { code: one, message } of said) {
    if (overridable.has(one) && !byCode.has(one)) byCode.set(one, { code: one, message })
  }
  return [...byCode.values()].sort((a, b) => (a.code < b.code ? -1 : 1))
}

function judge(plan: ApprovalPlan, objections: readonly Finding[]): Approvable {
  const objection = objections.find(({ code }) => !overridable.has(code))
  if (objection !== undefined) {
    const { message, next } = objection
    return { approvable: false, why: message, next: `${next} Then edit the order, or reject it.` }
  }
  const short = plan.lines.filter((line) => !line.inStock).map((line) => line.sku)
  if (short.length > 0) {
    const why = `Stock does not cover ${short.join(', ')}`
    return { approvable: false, why, next: 'Wait for stock, edit the order, or reject it.' }
  }
  if (plan.shipment === null) {
    return {
      approvable: false,
      why: 'No shipment is possible',
      next: 'Edit the order, or reject it.',
    }
  }
  return { approvable: true }
}

/** SHA-256 in hex of the plan as canonical JSON: the same plan, the same digest. */
export const digestOf = (plan: ApprovalPlan): string =>
  createHash('sha256').update(canonical(plan)).digest('hex')
