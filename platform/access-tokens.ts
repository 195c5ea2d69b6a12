/**
 * Access tokens: JWTs in the RFC 9068 profile (`typ: at+jwt`), signed with ES256 by the issuer and
 * verified by everybody else from the issuer's public keys (JWKS) alone. No shared secret exists.
 */
import { createHash, randomUUID } from 'node:crypto'
import * as jose from 'jose'
import { ConfigError } from './config.ts'
import { AppError, denied, unavailable } from './errors.ts'
import { JwksCache, type JwksTiming, type PublicKeys } from './jwks-cache.ts'
import { hasRepeatedNames } from './repeated-names.ts'
import { clientNamespaceOf, type TrustedIssuer } from './trusted-issuers.ts'

const algorithm = 'ES256'
const tokenType = 'at+jwt'
/** How far the clocks of issuer and verifier may be apart. */
export const clockSkewSeconds = 30
/** No token of ours lives longer; a verifier refuses one that claims to. */
export const lifetimeMaxSeconds = 120
const tokenCharactersMax = 8_192
const jtiCharactersMax = 200
const clientIdCharactersMax = 200
/** What identity providers sign with; nothing symmetric, nothing unsigned. */
const foreignAlgorithms = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']
const foreignTypes = new Set(['at+jwt', 'application/at+jwt', 'jwt'])

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
  /** Of a trusted issuer: `idp.example/realm:client`, which no client of ours can be called. */
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly orderId?: string
  /** Seconds since 1970. */
  readonly expiresAt: number
  /** Names this token and no other; of a trusted issuer's, a hash of what is signed. */
  readonly jti: string
  readonly issuer?: string
}

/**
 * @throws denied `invalid_token` for every token that is not exactly right.
 * @throws unavailable `issuer_unavailable` when the public keys cannot be had.
 */
export type VerifyToken = (token: string) => Promise<VerifiedToken>

interface VerifierOptions {
  readonly issuer: string
  readonly audience: string
  /** Where the issuer publishes its keys; for the issuer itself, what it publishes. */
  readonly keys: URL | (() => Promise<{ keys: readonly jose.JWK[] }>)
  /** Identity providers of the operator. Default none. */
  readonly trusted?: readonly TrustedIssuer[] | undefined
  /** How keys are kept; for tests. */
  readonly jwksTiming?: Partial<JwksTiming>
}

/**
 * A verifier for one audience: of our own issuer's tokens, and of those of trusted issuers.
 *
 * @throws ConfigError when our own issuer is among the trusted: its tokens have stricter rules.
 */
export function createTokenVerifier(options: VerifierOptions): VerifyToken {
  const { issuer, audience, keys, trusted = [], jwksTiming } = options
  const ofIssuer = new Map(
    trusted.map((one) => [one.issuer, foreignVerifier(one, audience, jwksTiming)]),
  )
  const getKey = keys instanceof URL ? remoteKeys(keys, jwksTiming) : localKeys(keys)
  if (ofIssuer.has(issuer)) throw new ConfigError([`TRUSTED_ISSUERS: ${issuer} is our own issuer`])
  ofIssuer.set(issuer, ownVerifier(issuer, audience, getKey))
  return async (token) => {
    if (token.length > tokenCharactersMax) throw invalidToken('too long')
    try {
      // Unverified: it only says whose rules and keys apply, and those then prove it.
      const verify = ofIssuer.get(jose.decodeJwt(token).iss ?? '')
      if (verify === undefined) throw invalidToken('claim iss')
      const verified = await verify(token)
      if (token.split('.').slice(0, 2).some(repeatsNames)) throw invalidToken('a name twice')
      return verified
    } catch (cause) {
      throw translate(cause)
    }
  }
}

const repeatsNames = (part: string) => hasRepeatedNames(Buffer.from(part, 'base64url').toString())

function ownVerifier(issuer: string, audience: string, getKey: jose.JWTVerifyGetKey): VerifyToken {
  return async (token) => {
    const { payload } = await jose.jwtVerify(token, getKey, {
      issuer,
      audience,
      typ: tokenType,
      algorithms: [algorithm],
      clockTolerance: clockSkewSeconds,
      requiredClaims: ['iss', 'aud', 'sub', 'client_id', 'scope', 'jti', 'iat', 'exp'],
    })
    return { ...readClaims(payload), issuer }
  }
}

/** Identity providers differ in what RFC 9068 fixes; what matters for safety is not left to them. */
function foreignVerifier(
  trusted: TrustedIssuer,
  resource: string,
  timing: Partial<JwksTiming> | undefined,
): VerifyToken {
  const { issuer, audience = resource, scopes: allowed, lifetimeMaxSeconds } = trusted
  const getKey = remoteKeys(new URL(trusted.jwksUri), timing)
  const namespace = clientNamespaceOf(issuer)
  return async (token) => {
    const { payload, protectedHeader } = await jose.jwtVerify(token, getKey, {
      issuer,
      audience,
      algorithms: foreignAlgorithms,
      clockTolerance: clockSkewSeconds,
      requiredClaims: ['iss', 'aud', 'sub', 'iat', 'exp'],
    })
    if (!foreignTypes.has(protectedHeader.typ?.toLowerCase() ?? '')) throw invalidToken('type')
    const { expiresAt } = readTimes(payload, lifetimeMaxSeconds)
    const scopes = foreignScopes(payload).filter((scope) => allowed.includes(scope))
    const clientId = `${namespace}:${foreignClient(payload)}`
    // An order_id of theirs means nothing: only our issuer binds a token to an order.
    return { clientId, scopes, expiresAt, issuer, jti: signedHash(token) }
  }
}

function foreignScopes({ scope, scp }: jose.JWTPayload): string[] {
  const given = scope ?? scp ?? []
  if (typeof given === 'string') return given.split(' ').filter(Boolean)
  if (Array.isArray(given) && given.every((one) => typeof one === 'string')) return given
  throw invalidToken('claim scope')
}

function foreignClient({ client_id, azp, sub }: jose.JWTPayload): string {
  const id = client_id ?? azp ?? sub
  if (typeof id === 'string' && id.length <= clientIdCharactersMax && /^[\x21-\x7e]+$/.test(id)) {
    // A colon of its own could be that of a port: `idp:8443/x:c` must be no client `8443/x:c` of idp.
    return id.replaceAll('%', '%25').replaceAll(':', '%3A')
  }
  throw invalidToken('claim client_id')
}

function remoteKeys(url: URL, timing: Partial<JwksTiming> = {}): jose.JWTVerifyGetKey {
  const cache = new JwksCache(url, timing)
  return async (header, token) => importedKeys(await cache.keysFor(header.kid))(header, token)
}

function localKeys(load: () => Promise<{ keys: readonly jose.JWK[] }>): jose.JWTVerifyGetKey {
  return async (header, token) => importedKeys(await load())(header, token)
}

/** Importing a key costs more than using it, so each set is imported once. */
const imported = new WeakMap<object, jose.JWTVerifyGetKey>()

function importedKeys(set: PublicKeys | { keys: readonly jose.JWK[] }): jose.JWTVerifyGetKey {
  const known = imported.get(set)
  if (known !== undefined) return known
  const keys = jose.createLocalJWKSet({ keys: [...set.keys] as jose.JWK[] })
  imported.set(set, keys)
  return keys
}

function readClaims(payload: jose.JWTPayload): VerifiedToken {
  const { client_id: clientId, scope, order_id: orderId, aud, jti } = payload
  if (typeof clientId !== 'string' || typeof scope !== 'string') throw invalidToken('claims')
  if (typeof jti !== 'string' || jti.length > jtiCharactersMax) throw invalidToken('jti')
  if (orderId !== undefined && typeof orderId !== 'string') throw invalidToken('order_id')
  if (Array.isArray(aud)) throw invalidToken('more than one audience')
  const { expiresAt } = readTimes(payload, lifetimeMaxSeconds)
  const scopes = scope.split(' ').filter(Boolean)
  return {
    clientId,
    scopes,
    expiresAt,
    jti,
    ...(orderId === undefined ? {} : { orderId }),
  }
}

function readTimes({ iat = 0, exp = 0 }: jose.JWTPayload, lifetimeMax: number) {
  if (exp - iat > lifetimeMax || exp <= iat) throw invalidToken('lifetime')
  if (iat > Date.now() / 1000 + clockSkewSeconds) throw invalidToken('issued in the future')
  return { expiresAt: exp }
}

/** Of header and claims only: some signatures can be changed by anybody and stay valid. */
const signedHash = (token: string) =>
  createHash('sha256')
    .update(token.slice(0, token.lastIndexOf('.')))
    .digest('base64url')

const invalidToken = (why: string, cause?: unknown) =>
  denied('invalid_token', `The access token is not valid: ${why}`, {
    next: 'Get a fresh token for this audience and scope.',
    cause,
  })

function translate(cause: unknown): AppError {
  if (cause instanceof AppError) return cause
  if (cause instanceof jose.errors.JWTExpired) return invalidToken('expired', cause)
  if (cause instanceof jose.errors.JWTClaimValidationFailed) {
    return invalidToken(`claim ${cause.claim}`, cause)
  }
  // What the issuer published is no key that works; the token may well be right.
  if (cause instanceof jose.errors.JWKSInvalid) {
    return unavailable('issuer_unavailable', 'The issuer’s keys cannot be used', {
      next: 'Try again in a few seconds.',
      cause,
    })
  }
  return invalidToken('signature or form', cause)
}
