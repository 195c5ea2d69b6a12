/** The inventory service as an attacker meets it, and a look at what it holds. */
import { readConfig } from '../../platform/config.ts'
import { inventoryConfig, startInventory } from '../../services/inventory/service.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { postToolCall } from '../support/mcp-request.ts'
import { type Forger, startForger } from './forger.ts'

export interface InventoryTarget extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly db: TestDatabase
  readonly forger: Forger
  /** Everything that a call could change; equal before and after a refusal. */
  state(): Promise<unknown>
  viaMcp(tool: string, input: object, token?: string): Promise<Response>
  viaFacade(tool: string, input: object, token?: string): Promise<Response>
}

export async function startInventoryTarget(): Promise<InventoryTarget> {
  const db = await testDatabase()
  const forger = await startForger()
  const claude = createClaudeStandin()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const env = {
    ...{ PORT: String(port), LOG_LEVEL: 'silent', DATABASE_URL: db.url, RESOURCE_URL: url },
    ...{ ISSUER_URL: forger.url, SEED_DEMO: 'true', CLAUDE_MODE: 'standin' },
    CLAUDE_URL: await claude.listen({ host: '127.0.0.1', port: 0 }),
    DRAIN_ACCEPT_MS: '0',
  }
  const service = await startInventory(readConfig(inventoryConfig, env))
  return {
    ...{ url, port, db, forger },
    state: async () => {
      const tables = ['stock', 'reservation', 'reservation_line', 'stock_adjustment']
      const rows = tables.map((table) => db.query(`select * from ${table} order by 1, 2`))
      return (await Promise.all(rows)).map((result) => result.rows)
    },
    viaMcp: (tool, input, token) => postToolCall(url, tool, input, token),
    viaFacade: (tool, input, token) =>
      fetch(`${url}/invoke/${tool}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(input),
      }),
    [Symbol.asyncDispose]: async () => {
      await service.stop()
      await claude.close()
      await forger[Symbol.asyncDispose]()
      await db[Symbol.asyncDispose]()
    },
  }
}
