/**
 * `private_key_jwt` (RFC 7523): a client proves who it is by a short-lived JWT of its own, so that no
 * secret of it is stored at the issuer. Both sides: the client signs, the issuer verifies.
 */
import { randomUUID } from 'node:crypto'
import * as jose from 'jose'
import { z } from 'zod'
import { clockSkewSeconds } from './access-tokens.ts'
import { denied, invalid } from './errors.ts'

const algorithms = ['ES256', 'EdDSA', 'Ed25519']
/** The assertion is sent at once; its jti is remembered until it expires. */
const signedLifetimeSeconds = 60
const lifetimeMaxSeconds = 300
const assertionCharactersMax = 8_192
const keysMax = 10
const jtiPattern = /^[\x21-\x7e]{8,200}$/

/** The private key a client signs its assertions with. */
export interface ClientKey {
  readonly kid: string
  readonly algorithm: string
  readonly privateKey: jose.CryptoKey
}

/** A new key of a client: what it keeps, and the JWKS that it registers at the issuer. */
export async function generateClientKey(): Promise<{ key: ClientKey; jwks: ClientJwks }> {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256')
  const jwk = await jose.exportJWK(publicKey)
  const kid = await jose.calculateJwkThumbprint(jwk)
  return {
    key: { kid, algorithm: 'ES256', privateKey },
    jwks: readClientJwks({ keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] }),
  }
}

/** Signs one assertion; `audience` is the issuer's identifier. Every request needs its own. */
export async function signClientAssertion(
  clientId: string,
  audience: string,
  { kid, algorithm, privateKey }: ClientKey,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new jose.SignJWT()
    .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + signedLifetimeSeconds)
    .sign(privateKey)
}

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const kid = z.string().min(1).max(200).optional()
/** Strict, so that a private key (`d`) is refused and never stored. */
const clientJwks = z.strictObject({
  keys: z
    .array(
      z.discriminatedUnion('kty', [
        z.strictObject({
          kty: z.literal('EC'),
          crv: z.literal('P-256'),
          x: coordinate,
          y: coordinate,
          kid,
          alg: z.literal('ES256').optional(),
          use: z.literal('sig').optional(),
        }),
        z.strictObject({
          kty: z.literal('OKP'),
          crv: z.literal('Ed25519'),
          x: coordinate,
          kid,
          alg: z.enum(['EdDSA', 'Ed25519']).optional(),
          use: z.literal('sig').optional(),
        }),
      ]),
    )
    .min(1)
    .max(keysMax),
})
export type ClientJwks = z.output<typeof clientJwks>

/** @throws invalid `invalid_jwks` for anything but 1 to 10 public keys, P-256 or Ed25519. */
export function readClientJwks(value: unknown): ClientJwks {
  const parsed = clientJwks.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid('invalid_jwks', `Not a JWKS of public keys: ${z.prettifyError(parsed.error)}`, {
    next: 'Register {"keys":[...]} with public P-256 or Ed25519 keys only.',
  })
}

/** Whom an assertion names; nothing of it is proved. Undefined when it is no JWT. */
export function assertedClient(assertion: string): string | undefined {
  if (assertion.length > assertionCharactersMax) return undefined
  try {
    return jose.decodeJwt(assertion).sub
  } catch {
    return undefined
  }
}

/** @throws denied `invalid_client`. Returns what a replay of it is recognised by. */
export async function verifyClientAssertion(
  assertion: string,
  expected: { clientId: string; jwks: ClientJwks; audiences: readonly string[] },
): Promise<{ readonly jti: string; readonly expiresAt: number }> {
  const { clientId, jwks, audiences } = expected
  const { payload } = await verifyWithAny(assertion, jwks, {
    issuer: clientId,
    subject: clientId,
    audience: [...audiences],
    algorithms,
    clockTolerance: clockSkewSeconds,
    requiredClaims: ['iss', 'sub', 'aud', 'exp', 'jti'],
  }).catch((cause: unknown) => {
    throw refused('signature, form or claims', cause)
  })
  const { jti = '', exp = 0, aud } = payload
  // For two audiences it could be taken from one and shown to the other.
  if (Array.isArray(aud) && aud.length !== 1) throw refused('more than one audience')
  if (exp > Date.now() / 1000 + lifetimeMaxSeconds + clockSkewSeconds) throw refused('lifetime')
  if (!jtiPattern.test(jti)) throw refused('jti')
  return { jti, expiresAt: exp + clockSkewSeconds }
}

/** Clients need not send a `kid`; while they change keys, several may fit. */
async function verifyWithAny(
  assertion: string,
  jwks: ClientJwks,
  options: jose.JWTVerifyOptions,
): Promise<jose.JWTVerifyResult> {
  try {
    return await jose.jwtVerify(
      assertion,
      jose.createLocalJWKSet(jwks as jose.JSONWebKeySet),
      options,
    )
  } catch (error) {
    if (!(error instanceof jose.errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      const verified = await jose.jwtVerify(assertion, key, options).catch((cause: unknown) => {
        if (cause instanceof jose.errors.JWSSignatureVerificationFailed) return undefined
        throw cause
      })
      if (verified !== undefined) return verified
    }
    throw error
  }
}

const refused = (why: string, cause?: unknown) =>
  denied('invalid_client', `The client assertion is not valid: ${why}`, { cause })
