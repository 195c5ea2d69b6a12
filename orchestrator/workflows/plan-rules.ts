/** What a plan may do. The agent shapes the run within these rules; code refuses the rest. */
import { z } from 'zod'
import { anyCase } from '../../platform/any-case.ts'
import { serviceLevel } from '../../services/fulfillment/contract.ts'

/** No caps on words: a wordy verdict is clipped, not refused. */
export const planVerdict = z.object({
  skip: z.array(anyCase(['validate_order', 'check_inventory', 'propose_shipment'])),
  serviceLevel: anyCase(serviceLevel.options),
  sendToPerson: z.boolean(),
  reasons: z.array(z.string()),
})
export type Plan = z.infer<typeof planVerdict>

/** What runs when no plan is asked for, given, or allowed. */
export const standardPlan: Plan = {
  skip: [],
  serviceLevel: 'cheapest',
  sendToPerson: false,
  reasons: [],
}

export interface PlanFacts {
  readonly lineCount: number
  readonly totalCents: number
  readonly hasNote: boolean
  readonly hasDeadline: boolean
  /** Stock, as read by SQL, does not cover every line. */
  readonly isShort: boolean
}

export type Planning = 'auto' | 'always' | 'never'

/** An order above this is not ordinary: 1,000 USD. */
const ordinaryTotalCentsMax = 100_000

/** Asks for a plan only where a plan can matter: a shortage settles the order without one. */
export function needsPlan(planning: Planning, facts: PlanFacts): boolean {
  if (planning !== 'auto') return planning === 'always'
  if (facts.isShort) return false
  return (
    facts.lineCount > 1 ||
    facts.hasNote ||
    facts.hasDeadline ||
    facts.totalCents > ordinaryTotalCentsMax
  )
}

/**
 * The rules that a plan breaks; none means that it may run. An agent may be skipped only when its
 * question is settled: a note must be read, stock and shipment are settled by a shortage.
 */
export function planProblems(plan: Plan, facts: PlanFacts): string[] {
  const problems: string[] = []
  if (plan.skip.includes('validate_order') && facts.hasNote) {
    problems.push('validate_order cannot be skipped: the order has a note')
  }
  if (plan.skip.includes('validate_order') && facts.totalCents > ordinaryTotalCentsMax) {
    problems.push('validate_order cannot be skipped: the order is above 1,000 USD')
  }
  if (plan.skip.includes('check_inventory') && facts.isShort) {
    problems.push('check_inventory cannot be skipped: stock is short')
  }
  if (plan.skip.includes('propose_shipment') && !facts.isShort) {
    problems.push('propose_shipment cannot be skipped: nothing settles the shipment')
  }
  return problems
}
