/** The clients that may ask for tokens: their rows, and the secrets that are shown once. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ClientJwks } from '../platform/client-assertions.ts'
import type { Db } from '../platform/db.ts'
import { invalid, missing, rejected } from '../platform/errors.ts'
import { isOutsideScope, outsideScopes } from './outside-scopes.ts'

const secretBytes = 32
const saltBytes = 16
const clientsMax = 1_000
/** Lets scanners for leaked secrets recognise one of ours. */
const secretPrefix = 'baton_secret_'
/** As in the table's check: no colon and no slash, which only clients of other issuers have. */
const idPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/
const reservedIds = new Set(['orchestrator', 'local'])

export interface Client {
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly jwks: ClientJwks | undefined
  readonly createdAt: Date
}

interface ClientRow {
  readonly clientId: string
  readonly scopes: string[]
  readonly salt: Buffer | null
  readonly hash: Buffer | null
  readonly jwks: ClientJwks | null
  readonly createdAt: Date
}

/** A client as it authenticates: whether a secret is its own. */
export interface KnownClient extends Client {
  secretIs(secret: string): boolean
}

/**
 * Adds a client with keys, or with a new secret, which is returned and cannot be read again.
 *
 * @throws invalid `invalid_client_id`, `invalid_scope`; rejected `client_exists`.
 */
export async function addClient(
  db: Db,
  clientId: string,
  scopes: readonly string[],
  jwks?: ClientJwks,
): Promise<string | undefined> {
  assertClient(clientId, scopes)
  const secret = secretPrefix + randomBytes(secretBytes).toString('base64url')
  const salt = jwks === undefined ? randomBytes(saltBytes) : undefined
  const added = await db.query(
    `insert into oauth_client (client_id, scopes, secret_salt, secret_hash, jwks)
     select $1, $2::text[], $3::bytea, $4::bytea, $5::jsonb
      where (select count(*) from oauth_client) < ${clientsMax}
     on conflict do nothing`,
    [clientId, scopes, salt, salt && hashSecret(secret, salt), jwks],
  )
  if (added.rowCount === 1) return jwks === undefined ? secret : undefined
  throw rejected('client_exists', `There is a client ${clientId}, or there are ${clientsMax}`, {
    next: 'Choose another id, or remove it first.',
  })
}

/** Ends a client at once; tokens that it holds live on for at most two minutes. */
export async function removeClient(db: Db, clientId: string): Promise<void> {
  const removed = await db.query('delete from oauth_client where client_id = $1', [clientId])
  if (removed.rowCount === 1) return
  throw missing('no_such_client', `There is no client ${clientId}`, {
    next: 'npm run clients list shows them.',
  })
}

export async function listClients(db: Db): Promise<Client[]> {
  const { rows } = await db.query<ClientRow>(`${selectClient} order by client_id`)
  return rows.map(clientOf)
}

/** Undefined for an unknown id, after the same work as for a known one. */
export async function findClient(db: Db, clientId: string): Promise<KnownClient | undefined> {
  const known = idPattern.test(clientId) ? clientId : ''
  const { rows } = await db.query<ClientRow>(`${selectClient} where client_id = $1`, [known])
  const [row] = rows
  return row && { ...clientOf(row), secretIs: (secret) => isSecret(secret, row.salt, row.hash) }
}

/** What checking a secret costs for a client that does not exist: nobody may learn that from time. */
export function checkNoSecret(secret: string): void {
  isSecret(secret, Buffer.alloc(saltBytes), Buffer.alloc(secretBytes))
}

const selectClient = `
  select client_id as "clientId", scopes, secret_salt as salt, secret_hash as hash, jwks,
         created_at as "createdAt"
    from oauth_client`

const clientOf = ({ clientId, scopes, jwks, createdAt }: ClientRow): Client => ({
  clientId,
  scopes,
  jwks: jwks ?? undefined,
  createdAt,
})

function isSecret(secret: string, salt: Buffer | null, hash: Buffer | null): boolean {
  const isEqual = timingSafeEqual(
    hashSecret(secret, salt ?? Buffer.alloc(saltBytes)),
    hash ?? Buffer.alloc(secretBytes),
  )
  return isEqual && hash !== null
}

/**
 * One round of SHA-256 is enough here: the secret has 256 random bits and was not chosen by a person,
 * so there is no list to try. A slow hash would only let strangers burn our CPU.
 */
const hashSecret = (secret: string, salt: Buffer): Buffer =>
  createHash('sha256').update(salt).update(secret).digest()

function assertClient(clientId: string, scopes: readonly string[]): void {
  if (!idPattern.test(clientId) || reservedIds.has(clientId)) {
    throw invalid('invalid_client_id', `"${clientId}" cannot be the id of a client`, {
      next: 'Use 1 to 64 of a-z 0-9 . _ - ; orchestrator and local are taken.',
    })
  }
  const refused = scopes.filter((scope) => !isOutsideScope(scope))
  if (scopes.length > 0 && refused.length === 0) return
  throw invalid('invalid_scope', `No client can have: ${refused.join(' ') || 'no scope at all'}`, {
    next: `Choose among: ${outsideScopes.join(' ')}`,
  })
}
