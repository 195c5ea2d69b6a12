/** The inventory service as clients that we did not write meet it: over HTTP, with a token. */
import { readConfig } from '../../platform/config.ts'
import { inventoryConfig, startInventory } from '../../services/inventory/service.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { testDatabase } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { testIssuer } from '../support/test-issuer.ts'

export interface InventoryServer extends AsyncDisposable {
  readonly mcpUrl: URL
  /** A token for this service. */
  tokenFor(scope: string): Promise<string>
}

/** Starts it with the demo stock. */
export async function startInventoryServer(): Promise<InventoryServer> {
  await using undo = new AsyncDisposableStack()
  const db = undo.use(await testDatabase())
  const issuer = undo.use(await testIssuer())
  const claude = createClaudeStandin()
  undo.defer(() => claude.close())
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const env = {
    ...{ PORT: String(port), LOG_LEVEL: 'silent', DATABASE_URL: db.url, RESOURCE_URL: url },
    ...{ ISSUER_URL: issuer.url, SEED_DEMO: 'true', CLAUDE_MODE: 'standin' },
    CLAUDE_URL: await claude.listen({ host: '127.0.0.1', port: 0 }),
    DRAIN_ACCEPT_MS: '0',
  }
  const service = await startInventory(readConfig(inventoryConfig, env))
  undo.defer(() => service.stop())
  const running = undo.move()
  return {
    mcpUrl: new URL('/mcp', url),
    tokenFor: (scope) => issuer.sign({ audience: url, clientId: 'outside', scope }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
