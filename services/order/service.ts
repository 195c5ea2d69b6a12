/** The order service: its configuration, and what it is made of. */
import { z } from 'zod'
import { defaultLimits } from '../../platform/agent-types.ts'
import { integer } from '../../platform/config.ts'
import type { RunningProcess } from '../../platform/process.ts'
import { startToolService, toolServiceConfig } from '../../platform/tool-service.ts'
import { type AgentSettings, createOrderAgent } from './agent.ts'
import { orderTools } from './tools.ts'

const version = '1'

export const orderConfig = toolServiceConfig.extend({
  /** An order above this total, in US cents, is held for a person. */
  ORDER_LIMIT_CENTS: integer(0, 1_000_000_000_000).default(500_000),
  AGENT_MODEL: z.string().min(1).default('claude-haiku-5-5'),
  AGENT_EFFORT: z.enum(['low', 'medium', 'high']).default('low'),
  AGENT_TURNS_MAX: integer(1, 50).default(defaultLimits.turnsMax),
  /** An order may have 100 lines, and the agent looks at the product of each. */
  AGENT_TOOL_CALLS_MAX: integer(1, 1_000).default(120),
  AGENT_TOKENS_MAX: integer(1_000, 10_000_000).default(defaultLimits.tokensMax),
  AGENT_COST_NANO_USD_MAX: integer(1, 1_000_000_000_000).default(defaultLimits.costNanoUsdMax),
  AGENT_OUTPUT_TOKENS_PER_TURN_MAX: integer(256, 128_000).default(16_000),
  AGENT_TURN_MS: integer(100, 600_000).default(defaultLimits.turnMs),
  AGENT_RUN_MS: integer(100, 600_000).default(defaultLimits.runMs),
})
export type OrderConfig = Readonly<z.output<typeof orderConfig>>

/** Starts the service; it serves until it is stopped. */
export function startOrder(config: OrderConfig): Promise<RunningProcess> {
  return startToolService({
    name: 'order',
    version,
    config,
    migrations: new URL('./migrations/', import.meta.url),
    seed: new URL('./seed.sql', import.meta.url),
    tools: (deps) => {
      const askAgent = createOrderAgent({ ...deps, db: deps.pool }, agentSettings(config))
      return orderTools(deps.pool, askAgent, config.ORDER_LIMIT_CENTS)
    },
  })
}

const agentSettings = (config: OrderConfig): AgentSettings => ({
  model: config.AGENT_MODEL,
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
