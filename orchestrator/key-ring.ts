/**
 * The signing keys as one replica knows them: which are published, and which one signs now.
 *
 *     rotate          lead                     retain
 *       ├──────────────────────────┼──────────────────────────┤
 *       new key is published       new key signs              old key is gone
 *       by every replica           on every replica
 *
 * A verifier has fetched the new key long before it meets its first signature, and the old key is
 * there until its last token has expired, so a rotation fails no request. Replicas read the table
 * again and again; between two reads they go by a clock that nobody sets.
 */
import { openStoredKey, type SigningKey, type StoredKey } from '../platform/access-tokens.ts'
import type { Pool } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'
import {
  deleteHiddenKeys,
  ensureKey,
  type KeyLife,
  type PublishedKey,
  readKeys,
  rotateKeys,
} from './key-store.ts'

/** Milliseconds where nothing else is said. */
export interface KeyTiming extends KeyLife {
  /** Between two reads of the table; far below `lead`, so that every replica publishes in time. */
  readonly refresh: number
  readonly rotateAfterDays: number
}

export interface Jwks {
  readonly keys: StoredKey['publicJwk'][]
}

interface RingKey {
  readonly key: SigningKey
  readonly signsAtMs: number
}

export class KeyRing {
  readonly #pool: Pool
  readonly #encryptionKey: Uint8Array
  readonly #timing: KeyTiming
  readonly #opened = new Map<string, SigningKey>()
  #keys: readonly RingKey[] = []
  #jwks: Jwks = { keys: [] }
  #readAtMs = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  private constructor(pool: Pool, encryptionKey: Uint8Array, timing: KeyTiming) {
    this.#pool = pool
    this.#encryptionKey = encryptionKey
    this.#timing = timing
  }

  /** Reads the keys, making the first when there is none. Fails when they do not open. */
  static async open(pool: Pool, encryptionKey: Uint8Array, timing: KeyTiming): Promise<KeyRing> {
    await ensureKey(pool, encryptionKey)
    const ring = new KeyRing(pool, encryptionKey, timing)
    await ring.refresh()
    return ring
  }

  /**
   * To be done again and again: rotates by age, reads the keys, deletes those that are hidden.
   * `onRotated` hears of a rotation by this replica.
   */
  async tend(log: Log, onRotated: () => void = () => {}): Promise<void> {
    const { rotateAfterDays } = this.#timing
    if (await rotateKeys(this.#pool, this.#encryptionKey, this.#timing, rotateAfterDays)) {
      log.info({ afterDays: rotateAfterDays }, 'signing keys rotated')
      onRotated()
    }
    await this.refresh()
    await deleteHiddenKeys(this.#pool)
  }

  /** What is published: the same object until the keys change. */
  jwks(): Jwks {
    return this.#jwks
  }

  /**
   * The key that signs now.
   *
   * A replica that could not read the table for the whole lead may have missed a rotation: it reads
   * first, and fails as the database does, rather than sign what nobody accepts.
   */
  async signingKey(): Promise<SigningKey> {
    if (performance.now() - this.#readAtMs > this.#timing.lead) await this.refresh()
    const nowMs = performance.now()
    // Newest first. Without one whose time has come the oldest signs, which every verifier knows.
    const current = this.#keys.find((key) => key.signsAtMs <= nowMs) ?? this.#keys.at(-1)
    if (current === undefined) throw new Error('No signing key')
    return current.key
  }

  /** Reads the table; all who ask meanwhile share one read. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<void> {
    const published = await readKeys(this.#pool)
    // After the answer, so that this replica is late, never early, by what the query took.
    const readAtMs = performance.now()
    this.#keys = await Promise.all(
      published.map(async (stored) => ({
        key: await this.#open(stored),
        signsAtMs: readAtMs + stored.signsInMs,
      })),
    )
    this.#readAtMs = readAtMs
    const kids = (keys: readonly { kid?: string | undefined }[]) => keys.map((k) => k.kid).join()
    if (kids(published) !== kids(this.#jwks.keys)) {
      this.#jwks = { keys: published.map((stored) => stored.publicJwk) }
    }
    for (const kid of this.#opened.keys()) {
      if (!published.some((stored) => stored.kid === kid)) this.#opened.delete(kid)
    }
  }

  async #open(stored: PublishedKey): Promise<SigningKey> {
    const known = this.#opened.get(stored.kid)
    if (known !== undefined) return known
    const key = await openStoredKey(stored, this.#encryptionKey)
    this.#opened.set(stored.kid, key)
    return key
  }
}
