/** Whether agents kept to their tools and their limits, by what every step says it used. */
import { type AgentLimits, defaultLimits } from '../../platform/agent-types.ts'
import { agentTools, type LimitsByStep, type StepFact } from './hostile-facts.ts'
import type { Breach } from './invariants.ts'

/** What a busy machine may add to a deadline. */
const lateMs = 2_000
/** A turn is paid for once it is there: its prompt is at most all that was said before. */
const oneTurnMore = 2
const stopReason = /^[a-z_]{1,40}$/

/** The limits that the processes have unless told, with what a run tells all of them. */
export function limitsOf(told: Partial<AgentLimits> = {}): LimitsByStep {
  const limits = (own: Partial<AgentLimits> = {}) => ({ ...defaultLimits, ...own, ...told })
  return {
    validate_order: limits({ toolCallsMax: 120, outputTokensPerTurnMax: 16_000 }),
    check_inventory: limits({ toolCallsMax: 220, outputTokensPerTurnMax: 16_000 }),
    propose_shipment: limits(),
    plan: limits(),
    decide: limits(),
    prepare_decision: limits(),
  }
}

export function checkAgents(steps: readonly StepFact[], limits: LimitsByStep): Breach[] {
  return steps.flatMap(({ orderId, name, agent }) => {
    const allowed = new Set(agentTools[name])
    const max = limits[name] ?? defaultLimits
    const tokens = Object.values(agent.usage).reduce((sum, some) => sum + some, 0)
    const foreign = agent.toolCalls.filter((call) => call.ok && !allowed.has(call.name))
    const over: readonly (readonly [string, number, number])[] = [
      ['turns', agent.turns, max.turnsMax],
      ['tool calls', agent.toolCalls.length, max.toolCallsMax],
      ['tokens', tokens, max.tokensMax * oneTurnMore + max.outputTokensPerTurnMax],
      ['nano-USD', agent.costNanoUsd, max.costNanoUsdMax * oneTurnMore],
      ['ms', agent.durationMs, max.runMs + lateMs],
    ]
    const breach = (what: string, detail: string): Breach => ({ what, orderId, detail })
    return [
      ...foreign.map((call) => breach('a tool outside the list', `${name} called ${call.name}`)),
      ...over
        .filter(([, used, allowedMax]) => used > allowedMax)
        .map(([what, used, most]) => breach(`too many ${what}`, `${name}: ${used} of ${most}`)),
      ...(stopReason.test(agent.stopReason)
        ? []
        : [breach('a stop reason in words of a model', `${name}: ${agent.stopReason}`)]),
    ]
  })
}
