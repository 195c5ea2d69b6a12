/**
 * The runs that this process is running. A run whose end could not be recorded, because the database was
 * away in a way that the engine does not wait out (a statement that got no answer in time), still
 * belongs to a living process by its row, and nobody runs it: no reaper would ever take it up.
 */
import { databaseFault, type Pool } from '../../platform/db.ts'

/** So many looks in a row must find a run abandoned: between two states it may seem so for a moment. */
const looksMax = 3
const batchMax = 100

export class OwnRuns {
  readonly #running = new Set<string>()
  /** How many looks in a row have found a run abandoned. */
  #suspects = new Map<string, number>()

  /** Runs that a passing fault ended, until they have been taken up: then the fault may be told. */
  readonly #given = new Map<string, PromiseWithResolvers<void>>()

  /**
   * Counts a run as running here until it ends, however that is. One that ended by a passing fault of
   * the database is not told of before it has been taken up again: told at once, the engine would
   * record it as failed for good; afterwards it is no longer ours to record.
   */
  async during<T>(runId: string, run: () => Promise<T>): Promise<T> {
    this.#running.add(runId)
    try {
      return await run()
    } catch (error) {
      this.#running.delete(runId)
      if (isPassing(error)) await this.#takenUp(runId)
      throw error
    } finally {
      this.#running.delete(runId)
    }
  }

  /** These go on elsewhere, or here once more: they are not ours any more. */
  handedOver(runIds: readonly string[]): void {
    for (const runId of runIds) this.#given.get(runId)?.resolve()
  }

  async #takenUp(runId: string): Promise<void> {
    const given = this.#given.get(runId) ?? Promise.withResolvers<void>()
    this.#given.set(runId, given)
    await given.promise
    this.#given.delete(runId)
  }

  /** Looks once; the runs that several looks in a row have found abandoned. */
  async findAbandoned(pool: Pool, executorId: string): Promise<string[]> {
    const given = [...this.#given.keys()]
    const found = await pool.query<{ id: string }>(
      `select workflow_uuid as id from dbos.workflow_status
        where status = 'PENDING' and executor_id = $1 and workflow_uuid <> all($2)
        limit $3`,
      [executorId, [...this.#running], batchMax],
    )
    const ours = new Set(found.rows.map(({ id }) => id))
    // Another process took them over meanwhile. A full answer may have left some of ours out.
    if (ours.size < batchMax) this.handedOver(given.filter((runId) => !ours.has(runId)))
    this.#suspects = new Map(
      [...ours].map((id) => [id, (this.#suspects.get(id) ?? 0) + 1] as const),
    )
    return [...this.#suspects].filter(([, looks]) => looks >= looksMax).map(([id]) => id)
  }
}

/** The engine's own trouble with the database. What a step threw is named by now, and stays final. */
const isPassing = (error: unknown): boolean => databaseFault(error) !== error
