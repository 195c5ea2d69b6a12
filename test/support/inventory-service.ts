/** The inventory service over HTTP, with the demo stock, a Claude stand-in and a database of its own. */
import { readConfig } from '../../platform/config.ts'
import { inventoryConfig, startInventory } from '../../services/inventory/service.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { type TestDatabase, testDatabase } from './database.ts'
import { freePort } from './free-port.ts'

export interface InventoryService extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly db: TestDatabase
}

/** Starts it on a free port; it trusts tokens of `issuerUrl`. */
export async function startInventoryService(issuerUrl: string): Promise<InventoryService> {
  await using undo = new AsyncDisposableStack()
  const db = undo.use(await testDatabase())
  const claude = createClaudeStandin()
  undo.defer(() => claude.close())
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const env = {
    ...{ PORT: String(port), LOG_LEVEL: 'silent', DATABASE_URL: db.url, RESOURCE_URL: url },
    ...{ ISSUER_URL: issuerUrl, SEED_DEMO: 'true', CLAUDE_MODE: 'standin' },
    CLAUDE_URL: await claude.listen({ host: '127.0.0.1', port: 0 }),
    MODEL_ATTEMPTS_MAX: '1',
    DRAIN_ACCEPT_MS: '0',
  }
  const service = await startInventory(readConfig(inventoryConfig, env))
  undo.defer(() => service.stop())
  const running = undo.move()
  return { url, port, db, [Symbol.asyncDispose]: () => running.disposeAsync() }
}
