/** A process that offers whatever a test wants behind the real doors: HTTP, tokens, Postgres. */
import type { Server } from 'node:http'
import { createTokenVerifier } from '../../platform/access-tokens.ts'
import { type Doors, mountDoors } from '../../platform/doors.ts'
import { identifyByToken } from '../../platform/identify.ts'
import { createLog, type Log } from '../../platform/log.ts'
import type { Primitives } from '../../platform/mcp-server.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createRateLimit } from '../../platform/rate-limit.ts'
import { createHttpProcess } from '../../platform/service.ts'
import type { TestDatabase } from './database.ts'
import { freePort } from './free-port.ts'
import type { TestIssuer } from './test-issuer.ts'

export interface TestServer extends AsyncDisposable {
  readonly url: string
  readonly doors: Doors
  readonly http: Server
}

/** Starts it on a free port. `rate`: requests of one client a second, and at once. */
export async function testServer(options: {
  readonly db: TestDatabase
  readonly issuer: TestIssuer
  readonly primitives: Partial<Primitives>
  readonly rate?: readonly [perSecond: number, burst: number]
  /** The audience of tokens, where replicas share one. Default: its own URL. */
  readonly audience?: string
  /** Default: silent. */
  readonly log?: Log
}): Promise<TestServer> {
  const { db, issuer } = options
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { log = createLog('test', 'silent'), audience = url } = options
  const metrics = createMetrics('test')
  const [perSecond, burst] = options.rate ?? [10_000, 10_000]
  const { app } = createHttpProcess({ log, metrics, checkReady: async () => {} })
  const doors = mountDoors(app, {
    ...{ name: 'test', version: '1', resourceUrl: audience, issuers: [issuer.url] },
    primitives: { tools: [], resources: [], prompts: [], ...options.primitives },
    identify: identifyByToken({
      verifyToken: createTokenVerifier({
        ...{ issuer: issuer.url, audience },
        keys: new URL('/.well-known/jwks.json', issuer.url),
      }),
      admit: createRateLimit(perSecond, burst),
      metrics,
    }),
    ...{ pool: db, databaseUrl: db.url, log, metrics, callDays: 30, seesAll: 'all:read' },
  })
  await doors.start()
  await app.listen({ host: '127.0.0.1', port })
  return {
    ...{ url, doors, http: app.server },
    [Symbol.asyncDispose]: async () => {
      doors.endStreams()
      await doors.stop()
      await app.close()
    },
  }
}
