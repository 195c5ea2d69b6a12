/** What an order went without because Claude could not serve it as configured. Pure. */
import type { StepReport } from './order-events.ts'

export interface LostCapability {
  readonly step: string
  /** A smaller model, or `rules`. */
  readonly servedBy: string
  readonly lost: string
}

/** What is missing when rules stand where this agent would. */
const withoutAgent: Readonly<Record<string, string>> = {
  plan: 'nobody shaped the run: the standard plan was used',
  validate_order: 'nobody judged plausibility and risk; the note was read by code alone',
  check_inventory: 'what to offer for short lines was chosen by rules',
  propose_shipment: 'the service was chosen by rules: the cheapest that fits',
  decide: 'nobody weighed the whole: rules decided on what they accept',
}

/**
 * Read from the steps themselves, so it cannot say otherwise than they do. A question that rules had
 * settled, or that a plan or a person took away, is no loss.
 */
export function degradedOf(reports: readonly StepReport[]): {
  readonly degraded: boolean
  readonly lostCapabilities: readonly LostCapability[]
} {
  const lostCapabilities = reports.flatMap(lostIn)
  return { degraded: lostCapabilities.length > 0, lostCapabilities }
}

function lostIn({ name, result, agent }: StepReport): LostCapability[] {
  const { agentFailure } = (result ?? {}) as { agentFailure?: unknown }
  if (agentFailure !== undefined) {
    return [{ step: name, servedBy: 'rules', lost: withoutAgent[name] ?? 'an agent' }]
  }
  const [wanted] = agent?.fallbackFrom ?? []
  if (agent === undefined || wanted === undefined) return []
  const lost = `the judgement of ${wanted.model}: ${agent.model} gave its own (${wanted.code})`
  return [{ step: name, servedBy: agent.model, lost }]
}
