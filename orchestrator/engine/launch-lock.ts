/**
 * One process at a time brings the engine's tables up to date. The engine builds indexes
 * concurrently, which waits for every other statement under way, a waiting lock included: two
 * processes that start together deadlock. So whoever comes second asks again instead of waiting.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from '../../platform/db.ts'
import { unavailable } from '../../platform/errors.ts'
import { withSessionLock } from './session-lock.ts'

const askAgainMs = 100
const waitMsMax = 120_000

/** @throws unavailable `engine_launch_busy` when others hold the lock for two minutes. */
export async function withLaunchLock(pool: Pool, launch: () => Promise<void>): Promise<void> {
  const until = Date.now() + waitMsMax
  while (Date.now() < until) {
    const done = await withSessionLock(pool, 'baton-engine-launch', launch)
    if (done !== undefined) return
    await delay(askAgainMs)
  }
  throw unavailable('engine_launch_busy', 'Another process is still preparing the engine')
}
