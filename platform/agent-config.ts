/** The settings of a service's agent: model, effort, limits. One set of names in every service. */
import { z } from 'zod'
import { type AgentSettings, defaultLimits } from './agent-types.ts'
import { integer } from './config.ts'
import type { Effort } from './model.ts'
import { modelId } from './prices.ts'
import type { RetryPolicy } from './resilience.ts'

const fallbacksMax = 4
/** Strongest first: an agent falls down this ladder when Claude cannot serve its own model. */
const ladder = ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-5-5']

/** The rungs below a model; none below one that is not on the ladder. */
export function modelsBelow(model: string): string[] {
  const rung = ladder.indexOf(model)
  return rung === -1 ? [] : ladder.slice(rung + 1)
}

interface Defaults {
  readonly model: string
  readonly effort: Effort
  /** An order may have 100 lines: as many calls as its agent may need to look at all of them. */
  readonly toolCallsMax?: number
  readonly outputTokensPerTurnMax?: number
}

/** The environment variables of an agent, with this service's defaults. */
export const agentConfig = (defaults: Defaults) => {
  const limits = { ...defaultLimits, ...defaults }
  return z.object({
    AGENT_MODEL: modelId.prefault(defaults.model),
    /** Comma-separated, or `none`; by default the lines below the model: Opus, Sonnet, Haiku. */
    AGENT_FALLBACK_MODELS: z
      .string()
      .transform((text) => (text === 'none' ? [] : text.split(',').map((id) => id.trim())))
      .pipe(z.array(modelId).max(fallbacksMax))
      .optional(),
    AGENT_EFFORT: z.enum(['low', 'medium', 'high']).default(defaults.effort),
    AGENT_TURNS_MAX: integer(1, 50).default(limits.turnsMax),
    AGENT_TOOL_CALLS_MAX: integer(1, 1_000).default(limits.toolCallsMax),
    AGENT_TOKENS_MAX: integer(1_000, 10_000_000).default(limits.tokensMax),
    AGENT_COST_NANO_USD_MAX: integer(1, 1_000_000_000_000).default(limits.costNanoUsdMax),
    AGENT_OUTPUT_TOKENS_PER_TURN_MAX: integer(256, 128_000).default(limits.outputTokensPerTurnMax),
    AGENT_TURN_MS: integer(100, 600_000).default(limits.turnMs),
    AGENT_RUN_MS: integer(100, 600_000).default(limits.runMs),
  })
}

/** What the agent loop takes, from what the environment says. */
export const agentSettings = (
  config: Readonly<z.output<ReturnType<typeof agentConfig>>>,
): AgentSettings => ({
  model: config.AGENT_MODEL,
  fallbacks: config.AGENT_FALLBACK_MODELS ?? modelsBelow(config.AGENT_MODEL),
  effort: config.AGENT_EFFORT,
  limits: {
    turnsMax: config.AGENT_TURNS_MAX,
    toolCallsMax: config.AGENT_TOOL_CALLS_MAX,
    tokensMax: config.AGENT_TOKENS_MAX,
    costNanoUsdMax: config.AGENT_COST_NANO_USD_MAX,
    outputTokensPerTurnMax: config.AGENT_OUTPUT_TOKENS_PER_TURN_MAX,
    turnMs: config.AGENT_TURN_MS,
    runMs: config.AGENT_RUN_MS,
  },
})

/** How often a model call is tried, in milliseconds between. The only retry layer of a model call. */
export const modelRetryConfig = z.object({
  MODEL_ATTEMPTS_MAX: integer(1, 10).default(3),
  MODEL_BACKOFF_MIN_MS: integer(1, 60_000).default(1_000),
  MODEL_BACKOFF_MAX_MS: integer(1, 60_000).default(10_000),
})

export const modelRetry = (config: Readonly<z.output<typeof modelRetryConfig>>): RetryPolicy => ({
  attemptsMax: config.MODEL_ATTEMPTS_MAX,
  backoffMinMs: config.MODEL_BACKOFF_MIN_MS,
  backoffMaxMs: config.MODEL_BACKOFF_MAX_MS,
})
