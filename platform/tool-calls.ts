/**
 * The record of every call: one log line at once, and a row soon after, in batches so that a call
 * never waits for it. A process that dies takes the rows of its last moment along; the lines are out.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from './db.ts'
import type { ErrorKind } from './errors.ts'
import { policy } from './errors.ts'
import type { Log } from './log.ts'

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
  readonly #waiting: (CallRecord & { readonly calledAt: string })[] = []
  readonly #stopping = new AbortController()
  #writing: Promise<void> = Promise.resolve()
  #dropped = 0

  constructor(pool: Pool, log: Log) {
    this.#pool = pool
    this.#log = log
  }

  start(): void {
    this.#writing = this.#keepWriting()
  }

  /** Writes what waits, once more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#writing
  }

  /** `cause` is logged, never stored. */
  record(call: CallRecord, cause?: unknown): void {
    const level = call.outcome === 'ok' ? 'info' : policy[call.outcome].level
    this.#log[level](cause === undefined ? call : { ...call, err: cause }, 'call')
    this.#waiting.push({ ...call, calledAt: new Date().toISOString() })
    if (this.#waiting.length <= waitingMax) return
    this.#waiting.shift()
    this.#dropped += 1
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
        await insertCalls(this.#pool, batch)
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
