/**
 * Access tokens: JWTs in the RFC 9068 profile (`typ: at+jwt`), signed with ES256 by the issuer and
 * verified by everybody else from the issuer's public keys (JWKS) alone. No shared secret exists.
 */
import { randomUUID } from 'node:crypto'
import * as jose from 'jose'
import { denied, unavailable } from './errors.ts'
import { hasRepeatedNames } from './repeated-names.ts'

const algorithm = 'ES256'
const tokenType = 'at+jwt'
const clockSkewSeconds = 30
/** No token lives longer; a verifier refuses one that claims to. */
const lifetimeMaxSeconds = 120
const jwksTimeoutMs = 3_000
const jwksCooldownMs = 5_000
const jwksAgeMaxMs = 60 * 60_000
const tokenCharactersMax = 8_192
const jtiCharactersMax = 200

export interface SigningKey {
  readonly kid: string
  readonly privateKey: jose.CryptoKey
}

/** A key pair as it is stored: the public half in plain, the private half encrypted. */
export interface StoredKey {
  readonly kid: string
  readonly publicJwk: jose.JWK
  readonly privateJwe: string
}

/** A new key pair, its private half encrypted (JWE, A256GCM) under `encryptionKey` (32 bytes). */
export async function generateStoredKey(encryptionKey: Uint8Array): Promise<StoredKey> {
  const pair = await jose.generateKeyPair(algorithm, { extractable: true })
  const publicJwk = await jose.exportJWK(pair.publicKey)
  const kid = await jose.calculateJwkThumbprint(publicJwk)
  const secret = new TextEncoder().encode(JSON.stringify(await jose.exportJWK(pair.privateKey)))
  const privateJwe = await new jose.CompactEncrypt(secret)
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid })
    .encrypt(encryptionKey)
  return { kid, publicJwk: { ...publicJwk, kid, alg: algorithm, use: 'sig' }, privateJwe }
}

/** @throws an Error when `encryptionKey` is not the one that the key was stored under. */
export async function openStoredKey(
  stored: StoredKey,
  encryptionKey: Uint8Array,
): Promise<SigningKey> {
  const { plaintext } = await jose.compactDecrypt(stored.privateJwe, encryptionKey)
  const jwk = JSON.parse(new TextDecoder().decode(plaintext)) as jose.JWK
  const privateKey = await jose.importJWK(jwk, algorithm)
  return { kid: stored.kid, privateKey: privateKey as jose.CryptoKey }
}

export interface Grant {
  /** RFC 8707 resource URL of the one service that may accept the token. */
  readonly audience: string
  readonly clientId: string
  readonly scope: string
  /** Present for tools bound to an order: the only order that the token may touch. */
  readonly orderId?: string | undefined
}

/** Signs one short-lived token. Local, well under a millisecond: every call gets its own. */
export async function signAccessToken(
  issuer: string,
  key: SigningKey,
  { audience, clientId, scope, orderId }: Grant,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new jose.SignJWT({
    client_id: clientId,
    scope,
    ...(orderId === undefined ? {} : { order_id: orderId }),
  })
    .setProtectedHeader({ alg: algorithm, typ: tokenType, kid: key.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(clientId)
    .setJti(randomUUID())
    .setIssuedAt(now)
    .setExpirationTime(now + lifetimeMaxSeconds)
    .sign(key.privateKey)
}

/** The token of an `Authorization: Bearer` header (RFC 6750); undefined for anything else. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer ([A-Za-z0-9._~+/=-]+)$/.exec(authorization ?? '')?.[1]
}

export interface VerifiedToken {
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly orderId?: string
  /** Seconds since 1970. */
  readonly expiresAt: number
  readonly jti: string
}

/**
 * @throws denied `invalid_token` for every token that is not exactly right.
 * @throws unavailable `issuer_unavailable` when the public keys cannot be had.
 */
export type VerifyToken = (token: string) => Promise<VerifiedToken>

/**
 * A verifier for one audience. It keeps the issuer's keys for an hour, asks again for an unknown
 * `kid` at most every five seconds, and shares one request among all who wait for it.
 */
export function createTokenVerifier(options: {
  readonly issuer: string
  readonly audience: string
  readonly keys: URL | (() => Promise<{ keys: readonly jose.JWK[] }>)
}): VerifyToken {
  const { issuer, audience, keys } = options
  const getKey = keys instanceof URL ? remoteKeys(keys) : localKeys(keys)
  return async (token) => {
    if (token.length > tokenCharactersMax) throw invalidToken('too long')
    const { payload } = await jose
      .jwtVerify(token, getKey, {
        issuer,
        audience,
        typ: tokenType,
        algorithms: [algorithm],
        clockTolerance: clockSkewSeconds,
        requiredClaims: ['iss', 'aud', 'sub', 'client_id', 'scope', 'jti', 'iat', 'exp'],
      })
      .catch((cause: unknown) => {
        throw translate(cause)
      })
    if (token.split('.').slice(0, 2).some(repeatsNames)) throw invalidToken('a name twice')
    return readClaims(payload)
  }
}

const repeatsNames = (part: string) => hasRepeatedNames(Buffer.from(part, 'base64url').toString())

function remoteKeys(url: URL): jose.JWTVerifyGetKey {
  return jose.createRemoteJWKSet(url, {
    timeoutDuration: jwksTimeoutMs,
    cooldownDuration: jwksCooldownMs,
    cacheMaxAge: jwksAgeMaxMs,
  })
}

function localKeys(load: () => Promise<{ keys: readonly jose.JWK[] }>): jose.JWTVerifyGetKey {
  return async (header, token) =>
    jose.createLocalJWKSet({ keys: [...(await load()).keys] })(header, token)
}

function readClaims(payload: jose.JWTPayload): VerifiedToken {
  const { client_id: clientId, scope, order_id: orderId, iat = 0, exp = 0, aud, jti } = payload
  if (typeof clientId !== 'string' || typeof scope !== 'string') throw invalidToken('claims')
  if (typeof jti !== 'string' || jti.length > jtiCharactersMax) throw invalidToken('jti')
  if (orderId !== undefined && typeof orderId !== 'string') throw invalidToken('order_id')
  if (Array.isArray(aud)) throw invalidToken('more than one audience')
  if (exp - iat > lifetimeMaxSeconds || exp <= iat) throw invalidToken('lifetime')
  if (iat > Date.now() / 1000 + clockSkewSeconds) throw invalidToken('issued in the future')
  const scopes = scope.split(' ').filter(Boolean)
  return { clientId, scopes, expiresAt: exp, jti, ...(orderId === undefined ? {} : { orderId }) }
}

const invalidToken = (why: string, cause?: unknown) =>
  denied('invalid_token', `The access token is not valid: ${why}`, {
    next: 'Get a fresh token for this audience and scope.',
    cause,
  })

function translate(cause: unknown): Error {
  if (cause instanceof jose.errors.JWTExpired) return invalidToken('expired', cause)
  if (cause instanceof jose.errors.JWTClaimValidationFailed) {
    return invalidToken(`claim ${cause.claim}`, cause)
  }
  if (isIssuerFault(cause)) {
    return unavailable('issuer_unavailable', 'The keys of the token issuer cannot be fetched', {
      next: 'Try again in a few seconds.',
      cause,
    })
  }
  return invalidToken('signature or form', cause)
}

/** The keys could not be fetched; jose throws its base class for any answer but a 200 with JSON. */
function isIssuerFault(cause: unknown): boolean {
  if (!(cause instanceof jose.errors.JOSEError)) return !(cause instanceof SyntaxError)
  const { JOSEError, JWKSInvalid, JWKSTimeout } = jose.errors
  return (
    cause.code === JOSEError.code || cause instanceof JWKSInvalid || cause instanceof JWKSTimeout
  )
}
