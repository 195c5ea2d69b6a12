/**
 * The record of every call: one log line at once, and a row soon after, in batches so that a call
 * never waits for it. A process that dies takes the rows of its last moment along; the lines are out.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { databaseFault, isDatabaseError, type Pool } from './db.ts'
import { type ErrorKind, policy } from './errors.ts'
import type { Log } from './log.ts'
import { isUuid } from './uuid.ts'

const flushMs = 500
const batchMax = 500
/** Rows that wait while the database is away; beyond that the oldest are only log lines. */
const waitingMax = 10_000

export interface CallRecord {
  readonly kind: 'tool' | 'resource' | 'prompt'
  readonly name: string
  readonly via: 'mcp' | 'facade'
  readonly clientId: string
  readonly orderId: string | undefined
  /** Redacted. */
  readonly arguments: unknown
  readonly outcome: 'ok' | ErrorKind
  readonly code: string | undefined
  readonly durationMs: number
  readonly traceId: string
}

export class ToolCallLog {
  readonly #pool: Pool
  readonly #log: Log
  readonly #onDropped: () => void
  readonly #waiting: (CallRecord & { readonly calledAt: string })[] = []
  readonly #stopping = new AbortController()
  #writing: Promise<void> = Promise.resolve()
  #dropped = 0

  /** `onDropped` hears of every row that is lost. */
  constructor(pool: Pool, log: Log, onDropped: () => void = () => {}) {
    this.#pool = pool
    this.#log = log
    this.#onDropped = onDropped
  }

  start(): void {
    this.#writing = this.#keepWriting()
  }

  /** Writes what waits, once more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
    await this.#flush()
  }

  /** `cause` is logged where somebody must look into it, and never stored: it may hold anything. */
  record(call: CallRecord, cause?: unknown): void {
    const { outcome, orderId } = call
    const level = outcome === 'ok' ? 'info' : policy[outcome].level
    const ours = outcome === 'internal' || outcome === 'unavailable'
    this.#log[level](ours ? { ...call, err: cause } : call, 'call')
    const row = { ...call, orderId: isUuid(orderId) ? orderId : undefined }
    this.#waiting.push({ ...row, calledAt: new Date().toISOString() })
    if (this.#waiting.length <= waitingMax) return
    this.#waiting.shift()
    this.#drop()
  }

  async #keepWriting(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await delay(flushMs, undefined, { signal }).catch(() => {})
      await this.#flush()
    }
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, batchMax)
      try {
        await this.#insert(batch)
      } catch (error) {
        this.#log.warn({ err: error, waiting: this.#waiting.length }, 'call rows not written')
        return
      }
      // Newer ones were appended meanwhile, and the oldest may have been dropped.
      const written = new Set(batch)
      while (this.#waiting[0] !== undefined && written.has(this.#waiting[0])) this.#waiting.shift()
      this.#tellDropped()
    }
  }

  /** One row that Postgres will never take must not keep back all others. */
  async #insert(batch: readonly object[]): Promise<void> {
    try {
      await insertCalls(this.#pool, batch)
    } catch (error) {
      if (!isDatabaseError(error) || databaseFault(error) !== error) throw error
      if (batch.length === 1) {
        this.#drop()
        return
      }
      for (const row of batch) await this.#insert([row])
    }
  }

  #drop(): void {
    this.#dropped += 1
    this.#onDropped()
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return
    this.#log.error({ dropped: this.#dropped }, 'call rows were dropped; their log lines remain')
    this.#dropped = 0
  }
}

async function insertCalls(pool: Pool, calls: readonly object[]): Promise<void> {
  await pool.query(
    `insert into tool_call (called_at, kind, name, via, client_id, order_id, arguments, outcome,
                            code, duration_ms, trace_id)
     select "calledAt", kind, name, via, "clientId", "orderId", coalesce(arguments, 'null'), outcome,
            code, "durationMs", "traceId"
       from jsonb_to_recordset($1::jsonb) as call("calledAt" timestamptz, kind text, name text,
            via text, "clientId" text, "orderId" uuid, arguments jsonb, outcome text, code text,
            "durationMs" int, "traceId" text)`,
    [JSON.stringify(calls)],
  )
}
