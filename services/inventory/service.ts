/** The inventory service: its configuration, and what it is made of. */
import { z } from 'zod'
import { defaultLimits } from '../../platform/agent-types.ts'
import { integer } from '../../platform/config.ts'
import type { RunningProcess } from '../../platform/process.ts'
import { startToolService, toolServiceConfig } from '../../platform/tool-service.ts'
import { type AgentSettings, createStockAgent } from './agent.ts'
import { inventoryTools } from './tools.ts'

const version = '1'

export const inventoryConfig = toolServiceConfig.extend({
  AGENT_MODEL: z.string().min(1).default('claude-sonnet-5-5'),
  AGENT_EFFORT: z.enum(['low', 'medium', 'high']).default('medium'),
  AGENT_TURNS_MAX: integer(1, 50).default(defaultLimits.turnsMax),
  /** An order may have 100 short lines, and the agent asks two questions about each. */
  AGENT_TOOL_CALLS_MAX: integer(1, 1_000).default(220),
  AGENT_TOKENS_MAX: integer(1_000, 10_000_000).default(defaultLimits.tokensMax),
  AGENT_COST_NANO_USD_MAX: integer(1, 1_000_000_000_000).default(defaultLimits.costNanoUsdMax),
  AGENT_OUTPUT_TOKENS_PER_TURN_MAX: integer(256, 128_000).default(16_000),
  AGENT_TURN_MS: integer(100, 600_000).default(defaultLimits.turnMs),
  AGENT_RUN_MS: integer(100, 600_000).default(defaultLimits.runMs),
})
export type InventoryConfig = Readonly<z.output<typeof inventoryConfig>>

/** Starts the service; it serves until it is stopped. */
export function startInventory(config: InventoryConfig): Promise<RunningProcess> {
  return startToolService({
    name: 'inventory',
    version,
    config,
    migrations: new URL('./migrations/', import.meta.url),
    seed: new URL('./seed.sql', import.meta.url),
    tools: (deps) => inventoryTools(deps.pool, createStockAgent(deps, agentSettings(config))),
  })
}

const agentSettings = (config: InventoryConfig): AgentSettings => ({
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
