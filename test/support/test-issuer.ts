/** A token issuer for tests: real ES256 keys, its JWKS served over HTTP. */
import { randomBytes, randomUUID } from 'node:crypto'
import { fastify } from 'fastify'
import * as jose from 'jose'
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
  /** The same for a token that lives less long. */
  signShort(grant: Grant, lifetimeSeconds: number): Promise<string>
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
    signShort: (grant, lifetimeSeconds) => {
      const { audience, clientId, scope, orderId } = grant
      const claims = { client_id: clientId, scope, ...(orderId && { order_id: orderId }) }
      return new jose.SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: key.kid })
        .setIssuer(url)
        .setAudience(audience)
        .setSubject(clientId)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime(`${lifetimeSeconds}s`)
        .sign(key.privateKey)
    },
    authorize: (audience, clientId = 'orchestrator') => {
      return (call) => sign({ audience, clientId, ...call })
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
}

export interface ForeignIssuer extends AsyncDisposable {
  readonly url: string
  readonly jwksUri: string
  /** Signs any claims. `typ` is `JWT` by default, as with most identity providers. */
  sign(claims: object, typ?: string): Promise<string>
  /** How often its keys were asked for. */
  asked(): number
}

/** An identity provider that is none of ours; `path` is the realm in its issuer URL. */
export async function foreignIssuer(path: string, algorithm: string): Promise<ForeignIssuer> {
  const { publicKey, privateKey } = await jose.generateKeyPair(algorithm)
  const jwk = { ...(await jose.exportJWK(publicKey)), kid: 'idp-1', alg: algorithm, use: 'sig' }
  const app = fastify({ forceCloseConnections: true })
  let asked = 0
  app.get(`${path}/keys`, async () => {
    asked += 1
    return { keys: [jwk] }
  })
  const base = await app.listen({ host: '127.0.0.1', port: 0 })

  return {
    url: `${base}${path}`,
    jwksUri: `${base}${path}/keys`,
    sign: (claims, typ = 'JWT') =>
      new jose.SignJWT({ ...claims })
        .setProtectedHeader({ alg: algorithm, kid: 'idp-1', typ })
        .sign(privateKey),
    asked: () => asked,
    [Symbol.asyncDispose]: () => app.close(),
  }
}
