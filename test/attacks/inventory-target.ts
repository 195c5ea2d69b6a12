/** The inventory service as an attacker meets it, and a look at what it holds. */
import type { TestDatabase } from '../support/database.ts'
import { startInventoryService } from '../support/inventory-service.ts'
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
  await using undo = new AsyncDisposableStack()
  const forger = undo.use(await startForger())
  const { url, port, db } = undo.use(await startInventoryService(forger.url))
  const running = undo.move()
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
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
