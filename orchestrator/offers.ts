/** What the orchestrator offers over MCP and the facade. */
import type { Primitives } from '../platform/mcp-server.ts'
import type { AwaitDeps } from './await-order.ts'
import type { IntakeDeps } from './intake.ts'
import { orchestratorPrompts } from './prompts.ts'
import { orchestratorResources } from './resources.ts'
import { orchestratorTools } from './tools.ts'

export const orchestratorOffers = (deps: AwaitDeps & IntakeDeps): Primitives => ({
  tools: orchestratorTools(deps),
  resources: orchestratorResources(deps),
  prompts: orchestratorPrompts(deps),
})
