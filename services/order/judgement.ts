/**
 * What counts of an agent's judgement. An agent can only make things more careful than the rules:
 * it may raise the risk or ask for a person, and it cannot clear a note that code finds suspicious.
 */
import type { z } from 'zod'
import type { AgentFailure, AgentRun } from '../../platform/agent-types.ts'
import { clipReasons } from '../../platform/tool.ts'
import type { OrderVerdict } from './agent.ts'
import type { validateOrder } from './contract.ts'

type Judgement = z.input<typeof validateOrder.output>
type Risk = OrderVerdict['risk']

const risks: readonly Risk[] = ['low', 'medium', 'high']

/** The answer of `validate_order`: the agent's verdict made safe, or the rules' own. */
export function judge(run: AgentRun<OrderVerdict>, noteSuspicious: boolean): Judgement {
  if (run.by === 'rules') {
    return {
      ...judgeByRules(run.reason, noteSuspicious),
      agentFailure: run.reason,
      agent: run.record,
    }
  }
  const { verdict, risk, noteContainsInstructions, reasons } = run.verdict
  return {
    by: 'agent',
    verdict,
    risk: higher(risk, ruleRisk(noteSuspicious)),
    noteContainsInstructions: noteContainsInstructions || noteSuspicious,
    reasons: clipReasons(reasons),
    agent: run.record,
  }
}

/** A model that refuses the task has seen something: a person looks. Any other failure is ours. */
function judgeByRules({ code, message }: AgentFailure, noteSuspicious: boolean) {
  const refused = code === 'refused'
  return {
    by: 'rules' as const,
    verdict: refused ? ('review' as const) : ('accept' as const),
    risk: refused ? ('medium' as const) : ruleRisk(noteSuspicious),
    noteContainsInstructions: noteSuspicious,
    reasons: clipReasons([
      `No agent judged this order, rules did: ${message}.`,
      ...(noteSuspicious ? ['The note reads like instructions to a system.'] : []),
    ]),
  }
}

const ruleRisk = (noteSuspicious: boolean): Risk => (noteSuspicious ? 'medium' : 'low')

const higher = (a: Risk, b: Risk): Risk => (risks.indexOf(a) >= risks.indexOf(b) ? a : b)
