/** The issuer's key pairs in the database: their life cycle is in the migration that made it. */
import { generateStoredKey, openStoredKey, type StoredKey } from '../platform/access-tokens.ts'
import { type Db, inTransaction, type Pool, type Tx } from '../platform/db.ts'
import { AppError } from '../platform/errors.ts'

/** Milliseconds. */
export interface KeyLife {
  /** From a key's publication until it signs: longer than any verifier keeps an older set. */
  readonly lead: number
  /** From then on until its predecessor is hidden: longer than any token of that may live. */
  readonly retain: number
}

/** A published key. Its times are relative to the database's clock at the time of reading. */
export interface PublishedKey extends StoredKey {
  readonly signsInMs: number
  /** Undefined for the newest. */
  readonly hiddenInMs: number | undefined
  readonly ageDays: number
}

/** The keys that are published now, newest first. */
export async function readKeys(db: Db): Promise<PublishedKey[]> {
  const { rows } = await db.query<
    StoredKey & { signsInMs: number; hiddenInMs: number | null; ageDays: number }
  >(
    `select kid, public_jwk as "publicJwk", private_jwe as "privateJwe",
            (extract(epoch from signs_from - clock_timestamp()) * 1000)::float8 as "signsInMs",
            (extract(epoch from published_until - clock_timestamp()) * 1000)::float8
              as "hiddenInMs",
            (extract(epoch from clock_timestamp() - created_at) / 86400)::float8 as "ageDays"
       from signing_key
      where published_until is null or published_until > clock_timestamp()
      order by signs_from desc`,
  )
  return rows.map((row) => ({ ...row, hiddenInMs: row.hiddenInMs ?? undefined }))
}

/** Makes the first key when there is none; it signs at once. Replicas agree on it. */
export function ensureKey(pool: Pool, encryptionKey: Uint8Array): Promise<void> {
  return underKeyLock(pool, async (tx) => {
    if ((await readKeys(tx)).length > 0) return
    await insertKey(tx, await generateStoredKey(encryptionKey), 0)
  })
}

/**
 * Publishes a new key, which signs after `lead`, and sets the end of the one before.
 *
 * Repeating it while a new key waits for its turn changes nothing; so does a newest key younger than
 * `olderThanDays`. Returns whether there is a new key.
 *
 * @throws AppError `wrong_encryption_key` when `encryptionKey` does not open the newest key: the
 * replicas could not open one made with it.
 */
export function rotateKeys(
  pool: Pool,
  encryptionKey: Uint8Array,
  { lead, retain }: KeyLife,
  olderThanDays = 0,
): Promise<boolean> {
  return underKeyLock(pool, async (tx) => {
    const [newest] = await readKeys(tx)
    if (newest !== undefined) {
      if (newest.signsInMs > 0 || newest.ageDays < olderThanDays) return false
      await assertOpens(newest, encryptionKey)
      await tx.query(
        `update signing_key
            set published_until = clock_timestamp() + $1 * interval '1 millisecond'
          where published_until is null`,
        [lead + retain],
      )
    }
    const key = await generateStoredKey(encryptionKey)
    await insertKey(tx, key, newest === undefined ? 0 : lead)
    return true
  })
}

/** Deletes keys that are no longer published: nothing that they signed is alive. */
export async function deleteHiddenKeys(db: Db): Promise<void> {
  await db.query('delete from signing_key where published_until < now()')
}

function underKeyLock<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(hashtext('baton-signing-key'))`)
    return work(tx)
  })
}

async function insertKey(tx: Tx, key: StoredKey, leadMs: number): Promise<void> {
  await tx.query(
    `insert into signing_key (kid, public_jwk, private_jwe, signs_from)
     values ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')`,
    [key.kid, key.publicJwk, key.privateJwe, leadMs],
  )
}

async function assertOpens(key: StoredKey, encryptionKey: Uint8Array): Promise<void> {
  try {
    await openStoredKey(key, encryptionKey)
  } catch (cause) {
    throw new AppError('invalid', 'wrong_encryption_key', 'KEY_ENCRYPTION_KEY is another one', {
      next: 'Use the KEY_ENCRYPTION_KEY that the orchestrator runs with.',
      cause,
    })
  }
}
