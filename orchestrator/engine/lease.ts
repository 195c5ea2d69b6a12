/**
 * Who is alive: every process start holds one lease row under an id of its own and renews it. Runs
 * whose holder has no live lease are handed on. A wrong verdict is safe: the engine fences the old
 * owner before each record, so only the step in flight runs twice.
 */
import type { Pool } from '../../platform/db.ts'
import { withSessionLock } from './session-lock.ts'

const leaseMs = 4_000
export const beatMs = 1_000

/** Takes or renews the lease of one executor. */
export async function renewLease(pool: Pool, executorId: string): Promise<void> {
  await pool.query(
    `insert into executor_lease (executor_id, expires_at)
     values ($1, now() + make_interval(secs => $2))
     on conflict (executor_id) do update set expires_at = excluded.expires_at`,
    [executorId, leaseMs / 1_000],
  )
}

/** Gives the lease up, so that others take over at once instead of after its end. */
export async function dropLease(pool: Pool, executorId: string): Promise<void> {
  await pool.query('delete from executor_lease where executor_id = $1', [executorId])
}

/**
 * Hands on the runs of every executor without a live lease. One replica does it at a time; the
 * others skip. Returns how many runs were handed on.
 */
export async function reapDeadExecutors(
  pool: Pool,
  applicationVersion: string,
  recover: (executorIds: string[]) => Promise<number>,
): Promise<number> {
  const reaped = await withSessionLock(pool, 'baton-reaper', async () => {
    const dead = await pool.query<{ executor_id: string }>(
      `select distinct s.executor_id
         from dbos.workflow_status s
        where s.status = 'PENDING'
          and s.application_version = $1
          and not exists (select 1 from executor_lease l
                           where l.executor_id = s.executor_id and l.expires_at > now())`,
      [applicationVersion],
    )
    const ids = dead.rows.map((row) => row.executor_id)
    const handedOn = ids.length === 0 ? 0 : await recover(ids)
    await pool.query(`delete from executor_lease where expires_at < now() - interval '1 hour'`)
    return handedOn
  })
  return reaped?.result ?? 0
}
