/** The order service: its configuration, and what it is made of. */
import type { z } from 'zod'
import { agentConfig, agentSettings } from '../../platform/agent-config.ts'
import { integer } from '../../platform/config.ts'
import type { RunningProcess } from '../../platform/process.ts'
import { startToolService, toolServiceConfig } from '../../platform/tool-service.ts'
import { createOrderAgent } from './agent.ts'
import { orderPrompts } from './prompts.ts'
import { orderResources } from './resources.ts'
import { orderTools } from './tools.ts'

const version = '1'

export const orderConfig = toolServiceConfig
  .extend(
    agentConfig({
      model: 'claude-haiku-5-5',
      effort: 'low',
      toolCallsMax: 120,
      outputTokensPerTurnMax: 16_000,
    }).shape,
  )
  .extend({
    /** An order above this total, in US cents, is held for a person. */
    ORDER_LIMIT_CENTS: integer(0, 1_000_000_000_000).default(500_000),
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
    offers: (deps) => {
      const askAgent = createOrderAgent({ ...deps, db: deps.pool }, agentSettings(config))
      const tools = orderTools(deps.pool, askAgent, config.ORDER_LIMIT_CENTS)
      const [resources, prompts] = [orderResources(deps.pool), orderPrompts(deps.pool)]
      return { tools, resources, prompts }
    },
  })
}
