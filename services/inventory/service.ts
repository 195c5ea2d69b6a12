/** The inventory service: its configuration, and what it is made of. */
import type { z } from 'zod'
import { agentConfig, agentSettings } from '../../platform/agent-config.ts'
import type { RunningProcess } from '../../platform/process.ts'
import { startToolService, toolServiceConfig } from '../../platform/tool-service.ts'
import { createStockAgent } from './agent.ts'
import { inventoryPrompts } from './prompts.ts'
import { inventoryResources } from './resources.ts'
import { showStock, stockMetricConfig } from './stock-metric.ts'
import { inventoryTools } from './tools.ts'

const version = '1'

export const inventoryConfig = toolServiceConfig
  .extend(
    agentConfig({
      model: 'claude-sonnet-5-5',
      effort: 'medium',
      toolCallsMax: 220,
      outputTokensPerTurnMax: 16_000,
    }).shape,
  )
  .extend(stockMetricConfig.shape)
export type InventoryConfig = Readonly<z.output<typeof inventoryConfig>>

/** Starts the service; it serves until it is stopped. */
export function startInventory(config: InventoryConfig): Promise<RunningProcess> {
  return startToolService({
    name: 'inventory',
    version,
    config,
    migrations: new URL('./migrations/', import.meta.url),
    seed: new URL('./seed.sql', import.meta.url),
    offers: (deps) => {
      showStock(deps.metrics, deps.pool, config.STOCK_METRIC_SKUS)
      return {
        tools: inventoryTools(deps.pool, createStockAgent(deps, agentSettings(config))),
        resources: inventoryResources(deps.pool),
        prompts: inventoryPrompts(deps.pool),
      }
    },
  })
}
