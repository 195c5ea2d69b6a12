/** A bound tool that writes takes a token once: one that was overheard there cannot be sent again. */
import type { VerifiedToken } from './access-tokens.ts'
import type { Pool } from './db.ts'
import { denied } from './errors.ts'

/** After its expiry plus the clock skew that verifiers allow a token is refused anyway. */
const keptSeconds = 60
const deletedMax = 10_000
const batchesMax = 100

/** @throws denied `token_replayed`. */
export type Spend = (token: VerifiedToken) => Promise<void>

/** Remembers spent tokens in the service's own database, so that every replica knows. */
export const spendIn =
  (pool: Pool): Spend =>
  async ({ jti, expiresAt }) => {
    const spent = await pool.query(
      `insert into spent_token (jti, expires_at)
       values ($1, to_timestamp($2) + make_interval(secs => ${keptSeconds}))
       on conflict do nothing`,
      [jti, expiresAt],
    )
    if (spent.rowCount === 1) return
    throw denied('token_replayed', 'The access token was used before', {
      next: 'Sign or get a fresh token for every call of a tool that writes.',
    })
  }

/** Deletes what is of no use any more: spent tokens, and calls that are older than `callDays`. */
export async function forgetOldCalls(pool: Pool, callDays: number): Promise<void> {
  await deleteAll(() =>
    pool.query(
      `delete from spent_token
        where jti in (select jti from spent_token where expires_at < now() limit $1)`,
      [deletedMax],
    ),
  )
  await deleteAll(() =>
    pool.query(
      `delete from tool_call
        where id in (select id from tool_call
                      where called_at < now() - make_interval(days => $1::int) limit $2)`,
      [callDays, deletedMax],
    ),
  )
}

/** Batch by batch, so that no statement holds many rows for long. */
async function deleteAll(deleteBatch: () => Promise<{ rowCount: number | null }>): Promise<void> {
  for (let batch = 0; batch < batchesMax; batch++) {
    const { rowCount } = await deleteBatch()
    if (rowCount !== deletedMax) return
  }
}
