/**
 * One process at a time brings the engine's tables up to date. The engine builds indexes
 * concurrently, which waits for every other statement under way, a waiting lock included: two
 * processes that start together deadlock. So whoever comes second asks again instead of waiting.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from '../../platform/db.ts'
import { unavailable } from '../../platform/errors.ts'

const askAgainMs = 100
const waitMsMax = 120_000
const lockKey = `hashtext('baton-engine-launch')`

/** @throws unavailable `engine_launch_busy` when others hold the lock for two minutes. */
export async function withLaunchLock<T>(pool: Pool, launch: () => Promise<T>): Promise<T> {
  // A lock of this session: it must be given back on the connection that took it.
  const session = await pool.connect()
  const until = Date.now() + waitMsMax
  try {
    for (;;) {
      const lock = await session.query<{ taken: boolean }>(
        `select pg_try_advisory_lock(${lockKey}) as taken`,
      )
      if (lock.rows[0]?.taken === true) break
      if (Date.now() > until) {
        throw unavailable('engine_launch_busy', 'Another process is still preparing the engine')
      }
      await delay(askAgainMs)
    }
    try {
      return await launch()
    } finally {
      await session.query(`select pg_advisory_unlock(${lockKey})`)
    }
  } finally {
    session.release()
  }
}
