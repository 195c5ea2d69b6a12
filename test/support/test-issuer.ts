/** A token issuer for tests: real ES256 keys, its JWKS served over HTTP. */
import { randomBytes } from 'node:crypto'
import { fastify } from 'fastify'
import {
  type Grant,
  generateStoredKey,
  openStoredKey,
  signAccessToken,
} from '../../platform/access-tokens.ts'
import type { Authorize } from '../../platform/mcp-client.ts'

export interface TestIssuer extends AsyncDisposable {
  /** What services take as ISSUER_URL. */
  readonly url: string
  sign(grant: Grant): Promise<string>
  /** Signs what an MCP caller asks for, for one audience. */
  authorize(audience: string, clientId?: string): Authorize
}

/** Starts an issuer on a free port of loopback. */
export async function testIssuer(): Promise<TestIssuer> {
  const encryptionKey = randomBytes(32)
  const stored = await generateStoredKey(encryptionKey)
  const key = await openStoredKey(stored, encryptionKey)
  const app = fastify({ forceCloseConnections: true })
  app.get('/.well-known/jwks.json', async () => ({ keys: [stored.publicJwk] }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const sign = (grant: Grant) => signAccessToken(url, key, grant)

  return {
    url,
    sign,
    authorize: (audience, clientId = 'orchestrator') => {
      return (call) => sign({ audience, clientId, ...call })
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
}
