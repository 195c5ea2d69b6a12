/** The fixtures behind the HTTP shell and the MCP wiring of our services; every caller is let in. */
import { InMemoryServerEventBus } from '@modelcontextprotocol/server'
import { createLog } from '../../platform/log.ts'
import { mountMcpHandler } from '../../platform/mcp-http.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createHttpProcess } from '../../platform/service.ts'
import { createFixtureServer } from './fixtures/fixture-server.ts'

export interface FixtureApp extends AsyncDisposable {
  /** Base URL; the endpoint is at `/mcp`. */
  readonly url: string
}

const grantedSeconds = 600

/** Starts it on a free port of loopback. */
export async function startFixtureApp(): Promise<FixtureApp> {
  const log = createLog('fixtures', 'silent')
  const metrics = createMetrics('fixtures')
  const { app } = createHttpProcess({ log, metrics, checkReady: async () => {} })
  const bus = new InMemoryServerEventBus()
  const mounted = mountMcpHandler(app, {
    resourceUrl: 'http://127.0.0.1',
    authorize: async () => ({
      token: '',
      clientId: 'anybody',
      scopes: [],
      expiresAt: Math.floor(Date.now() / 1_000) + grantedSeconds,
    }),
    createServer: () => createFixtureServer(bus),
    bus,
    log,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      mounted.endStreams()
      await mounted.close()
      await app.close()
    },
  }
}
