/** A Postgres advisory lock held by one connection, for work that is no transaction. */
import type { Pool } from '../../platform/db.ts'

/**
 * Does `work` under the lock `name`, or nothing when another process holds it. A process that dies
 * gives its locks back with its connection.
 */
export async function withSessionLock<T>(
  pool: Pool,
  name: string,
  work: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  const session = await pool.connect()
  let broken: Error | undefined
  try {
    const lock = await session.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(hashtext($1)) as taken',
      [name],
    )
    if (lock.rows[0]?.taken !== true) return undefined
    try {
      return { result: await work() }
    } finally {
      await session
        .query('select pg_advisory_unlock(hashtext($1))', [name])
        .catch((error: Error) => {
          broken = error
        })
    }
  } finally {
    session.release(broken)
  }
}
