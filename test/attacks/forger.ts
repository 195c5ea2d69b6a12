/** An issuer whose key the test holds: it signs right tokens, and every wrong one. */
import { createHmac, createSign, randomUUID } from 'node:crypto'
import { fastify } from 'fastify'
import * as jose from 'jose'

export interface Forger extends AsyncDisposable {
  /** What services take as ISSUER_URL. */
  readonly url: string
  readonly publicJwk: jose.JWK
  /** Claims of a token that `audience` accepts, for `scope`. */
  claims(audience: string, scope: string): Record<string, unknown>
  /** A token of these claims; the header and the key are right unless given. */
  sign(
    claims: object,
    header?: Partial<jose.JWTHeaderParameters>,
    key?: jose.CryptoKey,
  ): Promise<string>
  /** The right key over a header and a payload as they are, text by text. */
  signText(header: string, payload: string): string
  /** HS256 with the public key, as PEM, for a secret. */
  signWithPublicKey(claims: object): Promise<string>
}

const lifetimeSeconds = 60

export async function startForger(): Promise<Forger> {
  const pair = await jose.generateKeyPair('ES256', { extractable: true })
  const kid = 'forger-1'
  const publicJwk = { ...(await jose.exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' }
  const privatePem = await jose.exportPKCS8(pair.privateKey)
  const app = fastify({ forceCloseConnections: true })
  app.get('/.well-known/jwks.json', async () => ({ keys: [publicJwk] }))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const rightHeader = { alg: 'ES256', typ: 'at+jwt', kid }

  return {
    url,
    publicJwk,
    claims: (audience, scope) => {
      const iat = Math.floor(Date.now() / 1_000)
      const who = { iss: url, aud: audience, sub: 'c', client_id: 'c' }
      return { ...who, scope, jti: randomUUID(), iat, exp: iat + lifetimeSeconds }
    },
    sign: (claims, header = {}, key = pair.privateKey) =>
      new jose.SignJWT({ ...claims }).setProtectedHeader({ ...rightHeader, ...header }).sign(key),
    signText: (header, payload) => {
      const input = `${base64(header)}.${base64(payload)}`
      const signature = createSign('SHA256')
        .update(input)
        .sign({ key: privatePem, dsaEncoding: 'ieee-p1363' })
      return `${input}.${signature.toString('base64url')}`
    },
    signWithPublicKey: async (claims) => {
      const pem = await jose.exportSPKI(pair.publicKey)
      const header = base64(JSON.stringify({ ...rightHeader, alg: 'HS256' }))
      const input = `${header}.${base64(JSON.stringify(claims))}`
      return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64url')
