/** How an order can end, and what is said of it then. */
import type { z } from 'zod'
import type { label } from '../services/fulfillment/contract.ts'
import type { checkedLine } from '../services/inventory/contract.ts'
import { type Finding, outcome } from '../services/order/contract.ts'

export type Outcome = z.infer<typeof outcome>
export const outcomes = outcome.options

export interface Warning {
  readonly code: string
  readonly message: string
}

export interface Decision {
  readonly by: 'rules' | 'agent' | 'client' | 'person'
  readonly outcome: Outcome
  readonly reasons: readonly string[]
}

/** Stored with the order when its round ends; the answer shows it. */
export interface OutcomeSummary {
  readonly message: string
  readonly next?: string
  readonly decision: Decision
  readonly findings: readonly Finding[]
  readonly warnings: readonly Warning[]
  readonly backorder?: { readonly lines: readonly z.infer<typeof checkedLine>[] }
  readonly label?: z.infer<typeof label>
  /** How the round was to end, of one that could not be undone: a resume ends it so. */
  readonly wanted?: StoredEnding
}

/** An outcome with all that is said of it, as it is kept for later. */
export interface StoredEnding {
  readonly outcome: Outcome
  readonly code: string | null
  readonly summary: OutcomeSummary
}

/**
 * Every code that a round can end with, and what it means; `fulfilled` has none. What a dependency
 * refuses under any other code is `internal_error`: its own code is in the message and in the step.
 */
export const outcomeCodes = {
  unknown_sku: 'a line names a sku that is not in the catalogue',
  discontinued_sku: 'a line names a sku that is no longer sold',
  unknown_customer: 'there is no such customer',
  ambiguous_customer: 'several customers have this name',
  blocked_customer: 'the customer may not order',
  no_address: 'neither the order nor the customer has an address',
  out_of_stock: 'free stock does not cover every line',
  over_limit: 'the total is above the limit',
  too_heavy: 'the goods are too heavy for one parcel',
  no_service: 'no carrier service goes there',
  address_refused: 'the carrier cannot deliver to the address',
  agent_review: 'an agent has doubts and asks for a person',
  rules_only_limit: 'no model could judge an order above the limit for rules alone',
  decided_hold: 'the last decision was to hold the order',
  decided_cancel: 'the last decision was to cancel the order',
  cancelled_by_client: 'the client cancelled the order in time',
  rejected_by_person: 'a person rejected the held order',
  approval_stale: 'prices, total or address were no longer those that a person approved',
  order_closed: 'this round was closed at the order service before',
  order_changed: 'this round was opened before with other content',
  reservation_released: 'the reservation of this round was released before',
  reservation_changed: 'this round reserved other lines before',
  already_committed: 'the stock of this round has left the warehouse',
  not_reserved: 'no stock is reserved for this round',
  no_proposal: 'no shipment was proposed for this round',
  shipment_changed: 'this round has a shipment of other content',
  rate_changed: 'the carrier wants another price than was proposed',
  label_voided: 'the label of this round was voided before',
  dependency_unavailable: 'a service or the carrier was away, after all attempts',
  internal_error: 'a mistake on our side',
  undo_failed: 'what was done could not be undone',
  run_failed: 'the run crashed again and again, or could not go on',
} as const satisfies Readonly<Record<string, string>>
export type OutcomeCode = keyof typeof outcomeCodes

export const isOutcomeCode = (code: string): code is OutcomeCode =>
  Object.hasOwn(outcomeCodes, code)

// The codes of design order: the first that applies names the outcome.
const precedence = [
  'unknown_sku',
  'discontinued_sku',
  'unknown_customer',
  'ambiguous_customer',
  'blocked_customer',
  'no_address',
  'out_of_stock',
  'over_limit',
  'too_heavy',
  'no_service',
  'address_refused',
  'rate_changed',
  'rules_only_limit',
  'agent_review',
]
const outcomeOrder = ['rejected', 'backordered', 'held']

/** Several findings at once: `rejected` before `backordered` before `held`, then by code. */
export function leadingFinding(findings: readonly Finding[]): Finding | undefined {
  const rank = (f: Finding) =>
    outcomeOrder.indexOf(f.outcome) * 100 + ((precedence.indexOf(f.code) + 100) % 100)
  return findings.toSorted((a, b) => rank(a) - rank(b))[0]
}
