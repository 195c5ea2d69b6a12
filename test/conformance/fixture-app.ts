/** The fixtures behind the HTTP shell and the MCP wiring of the services, without authentication. */
import type { McpHttpHandler } from '@modelcontextprotocol/server'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createHttpProcess } from '../../platform/service.ts'
import { createFixtureServer } from './fixtures/fixture-server.ts'
import { mountMcpHandler } from './mcp-mount.ts'

export interface FixtureApp extends AsyncDisposable {
  /** Base URL; the endpoint is at `/mcp`. */
  readonly url: string
}

/** Starts it on a free port of loopback. */
export async function startFixtureApp(): Promise<FixtureApp> {
  const { app } = createHttpProcess({
    log: createLog('fixtures', 'silent'),
    metrics: createMetrics('fixtures'),
    checkReady: async () => {},
  })
  const handler: McpHttpHandler = mountMcpHandler(app, {
    createServer: () => createFixtureServer(() => handler.notify),
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      await handler.close()
      await app.close()
    },
  }
}
