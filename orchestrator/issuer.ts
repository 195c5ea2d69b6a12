/**
 * The token issuer: key pairs in our database, private halves encrypted under a mounted key, so
 * that every replica signs with the same keys and publishes the same JWKS.
 */
import {
  generateStoredKey,
  openStoredKey,
  type SigningKey,
  type StoredKey,
  signAccessToken,
} from '../platform/access-tokens.ts'
import { inTransaction, type Pool } from '../platform/db.ts'
import type { Authorize } from '../platform/mcp-client.ts'

/** The orchestrator's own client id: write scopes of services are issued to it alone. */
const ownClientId = 'orchestrator'
const encryptionKeyBytes = 32

export interface Issuer {
  /** The public keys, as `/.well-known/jwks.json` shows them. */
  jwks(): { keys: StoredKey['publicJwk'][] }
  /** Signs a token for one call of ours to the service at `audience`. */
  authorizeFor(audience: string): Authorize
}

/** @throws Error when the key is not base64 of 32 bytes. */
export function readEncryptionKey(base64: string): Uint8Array {
  const key = Buffer.from(base64, 'base64')
  if (key.length !== encryptionKeyBytes) {
    throw new Error(`KEY_ENCRYPTION_KEY must be base64 of ${encryptionKeyBytes} bytes`)
  }
  return key
}

/** Loads the signing keys, making the first pair when there is none; replicas agree on it. */
export async function createIssuer(
  pool: Pool,
  issuerUrl: string,
  encryptionKey: Uint8Array,
): Promise<Issuer> {
  const stored = await loadOrCreateKeys(pool, encryptionKey)
  const [newest] = stored
  if (newest === undefined) throw new Error('No signing key')
  const signingKey: SigningKey = await openStoredKey(newest, encryptionKey)
  return {
    jwks: () => ({ keys: stored.map((key) => key.publicJwk) }),
    authorizeFor: (audience) => (call) =>
      signAccessToken(issuerUrl, signingKey, { audience, clientId: ownClientId, ...call }),
  }
}

async function loadOrCreateKeys(pool: Pool, encryptionKey: Uint8Array): Promise<StoredKey[]> {
  return inTransaction(pool, async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(hashtext('baton-signing-key'))`)
    const found = await tx.query<StoredKey>(
      `select kid, public_jwk as "publicJwk", private_jwe as "privateJwe"
         from signing_key order by created_at desc`,
    )
    if (found.rows.length > 0) return found.rows
    const key = await generateStoredKey(encryptionKey)
    await tx.query('insert into signing_key (kid, public_jwk, private_jwe) values ($1, $2, $3)', [
      key.kid,
      key.publicJwk,
      key.privateJwe,
    ])
    return [key]
  })
}
