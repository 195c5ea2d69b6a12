/** The inventory service as clients that we did not write meet it: over HTTP, with a token. */
import { startInventoryService } from '../support/inventory-service.ts'
import { testIssuer } from '../support/test-issuer.ts'

export interface InventoryServer extends AsyncDisposable {
  readonly mcpUrl: URL
  /** A token for this service. */
  tokenFor(scope: string): Promise<string>
}

/** Starts it with the demo stock. */
export async function startInventoryServer(): Promise<InventoryServer> {
  await using undo = new AsyncDisposableStack()
  const issuer = undo.use(await testIssuer())
  const { url } = undo.use(await startInventoryService(issuer.url))
  const running = undo.move()
  return {
    mcpUrl: new URL('/mcp', url),
    tokenFor: (scope) => issuer.sign({ audience: url, clientId: 'outside', scope }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
