/**
 * Who is alive: every process start holds one lease row under an id of its own and renews it. Runs
 * whose holder has no live lease are handed on. A wrong verdict is safe: the engine fences the old
 * owner before each record, so only the step in flight runs twice.
 */
import type { Pool } from '../../platform/db.ts'

const leaseMs = 4_000
/** Who hands runs on claims that for this long: a process that freezes meanwhile keeps nobody waiting. */
const reaperClaimMs = 3_000
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
  if (!(await claimReaping(pool))) return 0
  try {
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
  } finally {
    await dropLease(pool, reaperId)
  }
}

/**
 * A claim that ends by itself, not a lock: a lock lives as long as its session, and the session of a
 * process that is frozen, or cut off without a word, lives on. Two that claim at once after a freeze
 * are harmless, as every wrong verdict is.
 */
async function claimReaping(pool: Pool): Promise<boolean> {
  const claimed = await pool.query(
    `insert into executor_lease (executor_id, expires_at)
     values ($1, now() + make_interval(secs => $2))
     on conflict (executor_id) do update set expires_at = excluded.expires_at
       where executor_lease.expires_at < now()`,
    [reaperId, reaperClaimMs / 1_000],
  )
  return claimed.rowCount === 1
}

/** Beside the ids of executors, which are UUIDs. */
const reaperId = 'reaper'
