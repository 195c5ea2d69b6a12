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
  readonly by: 'rules' | 'agent' | 'client'
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
}

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
  'agent_review',
]
const outcomeOrder = ['rejected', 'backordered', 'held']

/** Several findings at once: `rejected` before `backordered` before `held`, then by code. */
export function leadingFinding(findings: readonly Finding[]): Finding | undefined {
  const rank = (f: Finding) =>
    outcomeOrder.indexOf(f.outcome) * 100 + ((precedence.indexOf(f.code) + 100) % 100)
  return findings.toSorted((a, b) => rank(a) - rank(b))[0]
}
