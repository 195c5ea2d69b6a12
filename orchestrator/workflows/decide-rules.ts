/** The final decision: the agent's judgement, which code can only move towards safety. */
import { z } from 'zod'
import { anyCase } from '../../platform/any-case.ts'
import { clipReasons } from '../../platform/tool.ts'

/** No caps on words: a wordy verdict is clipped, not refused. */
export const decideVerdict = z.object({
  decision: anyCase(['ship', 'hold', 'cancel']),
  reasons: z.array(z.string()),
  summary: z.string(),
})
export type DecideVerdict = z.infer<typeof decideVerdict>

/** Invariants that code checks from what the databases said, before any postage is spent. */
export interface Checks {
  readonly reservedEqualsOrdered: boolean
  readonly addressEqualsStored: boolean
  readonly totalWithinLimit: boolean
}

interface Line {
  readonly sku: string
  readonly quantity: number
}

/** True when both name the same skus and quantities, in whatever order. */
export function sameLines(a: readonly Line[], b: readonly Line[]): boolean {
  const key = (lines: readonly Line[]) =>
    lines
      .map((line) => `${line.sku}:${line.quantity}`)
      .sort()
      .join(',')
  return key(a) === key(b)
}

export interface FinalDecision {
  readonly decision: 'ship' | 'hold' | 'cancel'
  readonly by: 'agent' | 'rules' | 'person'
  readonly reasons: readonly string[]
}

/**
 * What happens: a failed check holds the order whatever an agent or a person says; an agent that refused the
 * task holds it too; without a verdict the rules ship what they accepted.
 */
export function finalDecision(
  checks: Checks,
  agent:
    | { verdict: DecideVerdict }
    | { failure: { code: string; message: string } }
    | { approved: FinalDecision },
): FinalDecision {
  const failed = Object.entries(checks).filter(([, ok]) => !ok)
  if (failed.length > 0) {
    const names = failed.map(([name]) => name).join(', ')
    return { decision: 'hold', by: 'rules', reasons: [`Checks failed: ${names}`] }
  }
  if ('approved' in agent) return agent.approved
  if ('verdict' in agent) {
    const { decision, reasons, summary } = agent.verdict
    return { decision, by: 'agent', reasons: clipReasons([summary, ...reasons]) }
  }
  const decision = agent.failure.code === 'refused' ? 'hold' : 'ship'
  return { decision, by: 'rules', reasons: [`No verdict of an agent: ${agent.failure.message}`] }
}
