/** An agent's dependencies with a persona of the Claude stand-in behind them, over real HTTP. */
import { type AgentDeps, type AgentRecord, defaultLimits } from '../../platform/agent-types.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics, type Metrics } from '../../platform/metrics.ts'
import { createModel } from '../../platform/model.ts'
import { readPrices } from '../../platform/prices.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { personaNames } from '../../standins/claude/personas/cast.ts'

export interface HostileModel extends AsyncDisposable {
  readonly url: string
  readonly deps: AgentDeps
  readonly metrics: Metrics
}

/** Everybody but the honest one. */
export const hostilePersonas = personaNames.filter((name) => name !== 'honest')

/** Short enough that a model that stalls does not hold a test up. */
export const shortLimits = { ...defaultLimits, turnMs: 300, runMs: 900 }

/** What a busy machine may add to a deadline. */
const lateMs = 2_000

/** A stand-in of its own, on which this persona plays in every conversation. */
export async function hostileModel(persona: string, seed = 1): Promise<HostileModel> {
  const app = createClaudeStandin({ personas: { mix: { [persona]: 1 }, seed } })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const metrics = createMetrics('test')
  const model = createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL: url }, readPrices(), metrics)
  return {
    url,
    metrics,
    deps: {
      ...{ model, metrics, log: createLog('test', 'silent') },
      retry: { attemptsMax: 2, backoffMinMs: 1, backoffMaxMs: 5 },
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
}

/** What a run used beyond these limits, in words. */
export function overruns(
  { turns, toolCalls, durationMs }: Pick<AgentRecord, 'turns' | 'toolCalls' | 'durationMs'>,
  limits: typeof defaultLimits,
): string[] {
  const over: [string, number, number][] = [
    ['turns', turns, limits.turnsMax],
    ['tool calls', toolCalls.length, limits.toolCallsMax],
    ['ms', durationMs, limits.runMs + lateMs],
  ]
  return over.flatMap(([what, used, max]) =>
    used > max ? [`${used} ${what}, ${max} allowed`] : [],
  )
}
