/** The token issuer: the only one that signs, for our own calls and for clients from outside. */
import { signAccessToken } from '../platform/access-tokens.ts'
import type { Pool } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'
import type { Authorize } from '../platform/mcp-client.ts'
import { forgetAssertions } from './client-login.ts'
import { type Jwks, KeyRing, type KeyTiming } from './key-ring.ts'
import { isOutsideScope } from './outside-scopes.ts'

/** The orchestrator's own client id: write scopes of services are issued to it alone. */
const ownClientId = 'orchestrator'
const encryptionKeyBytes = 32

/** A token for a client from outside. */
export interface ClientGrant {
  readonly clientId: string
  readonly audience: string
  readonly scopes: readonly string[]
}

export interface Issuer {
  /** The public keys, as `/.well-known/jwks.json` shows them. */
  jwks(): Jwks
  /** Signs a token for one call of ours to the service at `audience`. */
  authorizeFor(audience: string): Authorize
  /** Signs a token for a client from outside; a scope that is none for the outside is a bug. */
  signForClient(grant: ClientGrant): Promise<string>
  /** From now on follows rotations and rotates by age, until `stop`; `onRotated` hears of the latter. */
  start(log: Log, onRotated?: () => void): void
  stop(): void
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
  timing: KeyTiming,
): Promise<Issuer> {
  const ring = await KeyRing.open(pool, encryptionKey, timing)
  let timer: NodeJS.Timeout | undefined
  return {
    jwks: () => ring.jwks(),
    authorizeFor: (audience) => async (call) =>
      signAccessToken(issuerUrl, await ring.signingKey(), {
        audience,
        clientId: ownClientId,
        ...call,
      }),
    signForClient: async ({ clientId, audience, scopes }) => {
      if (clientId === ownClientId || !scopes.every(isOutsideScope)) {
        throw new Error(`Client ${clientId} cannot have a token for ${scopes.join(' ')}`)
      }
      const grant = { audience, clientId, scope: scopes.join(' ') }
      return signAccessToken(issuerUrl, await ring.signingKey(), grant)
    },
    start: (log, onRotated) => {
      timer = setInterval(() => {
        Promise.all([ring.tend(log, onRotated), forgetAssertions(pool)]).catch((error: unknown) =>
          log.warn({ err: error }, 'signing keys not refreshed'),
        )
      }, timing.refresh)
    },
    stop: () => clearInterval(timer),
  }
}
