/**
 * The runs that this process is running. A run whose end could not be recorded, because the database was
 * away in a way that the engine does not wait out (a statement that got no answer in time), still
 * belongs to a living process by its row, and nobody runs it: no reaper would ever take it up.
 */
import type { Pool } from '../../platform/db.ts'

/** So many looks in a row must find a run abandoned: between two states it may seem so for a moment. */
const looksMax = 3
const batchMax = 100

export class OwnRuns {
  readonly #running = new Set<string>()
  /** How many looks in a row have found a run abandoned. */
  #suspects = new Map<string, number>()

  /** Counts a run as running here until it ends, however that is. */
  async during<T>(runId: string, run: () => Promise<T>): Promise<T> {
    this.#running.add(runId)
    try {
      return await run()
    } finally {
      this.#running.delete(runId)
    }
  }

  /** Looks once; the runs that several looks in a row have found abandoned. */
  async findAbandoned(pool: Pool, executorId: string): Promise<string[]> {
    const found = await pool.query<{ id: string }>(
      `select workflow_uuid as id from dbos.workflow_status
        where status = 'PENDING' and executor_id = $1 and workflow_uuid <> all($2)
        limit $3`,
      [executorId, [...this.#running], batchMax],
    )
    this.#suspects = new Map(
      found.rows.map(({ id }) => [id, (this.#suspects.get(id) ?? 0) + 1] as const),
    )
    return [...this.#suspects].filter(([, looks]) => looks >= looksMax).map(([id]) => id)
  }
}
