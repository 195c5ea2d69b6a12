/** Postgres pools and transactions. Every wait has a limit: connect, query, statement, idle. */
import pg from 'pg'
import { unavailable } from './errors.ts'
import type { Log } from './log.ts'
import { endSql, openSql } from './sql-span.ts'
import { bound, outsideTrace } from './tracing.ts'
import { outsideWork } from './work.ts'

export type Pool = pg.Pool
export type Tx = pg.PoolClient
/** Something that runs a query: a pool, or the client of an open transaction. */
export type Db = Pick<pg.Pool, 'query'>

// A sum of bigint cents or nano-USD fits a double up to 9e15; beyond that the query must say text.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)
// A date is a date: no time zone may shift it.
pg.types.setTypeParser(pg.types.builtins.DATE, (value) => value)

const connectTimeoutMsMax = 5_000
const queryTimeoutMsDefault = 15_000

/** Statement texts are few and fixed; beyond this many they are simply not prepared. */
const preparedMax = 500
const staleStatement = '0A000'

/**
 * Prepares every statement that has parameters, under a name made from its text, so that Postgres
 * plans it once a connection. Measured: a third less CPU of Postgres an order. Needs session mode
 * where a pooler stands between.
 */
class PreparingClient extends pg.Client {
  readonly #names = new Map<string, string>()
  #generation = 0

  // The signature of pg's many overloads.
  override query(...args: unknown[]): never {
    const span = openSql(args[0], this.database)
    if (span === undefined) return this.#prepared(args) as never
    const callback = args.at(-1)
    if (typeof callback === 'function') {
      const done = (error: unknown, result: unknown) => {
        endSql(span, error)
        callback(error, result)
      }
      return this.#prepared([...args.slice(0, -1), done]) as never
    }
    const result = this.#prepared(args) as Promise<unknown>
    result.then(
      () => endSql(span, undefined),
      (error: unknown) => endSql(span, error),
    )
    return result as never
  }

  /** What is not a text with values passes unchanged. */
  #prepared(args: unknown[]): unknown {
    const [text, values, callback] = args
    const name = Array.isArray(values) && values.length > 0 ? this.#nameOf(text) : undefined
    const query = super.query as (...args: unknown[]) => unknown
    if (name === undefined) return query.apply(this, args)
    if (typeof callback === 'function') {
      const done = (error: unknown, result: unknown) => {
        this.#onError(error)
        callback(error, result)
      }
      return query.call(this, { name, text, values }, done)
    }
    const result = query.call(this, { name, text, values }) as Promise<unknown>
    result.catch((error: unknown) => this.#onError(error))
    return result
  }

  #nameOf(text: unknown): string | undefined {
    if (typeof text !== 'string') return undefined
    const known = this.#names.get(text)
    if (known !== undefined || this.#names.size >= preparedMax) return known
    const name = `s${this.#generation}_${this.#names.size}`
    this.#names.set(text, name)
    return name
  }

  /** A migration changed a table under a prepared statement: prepare all of them anew. */
  #onError(error: unknown): void {
    if ((error as { code?: unknown } | null | undefined)?.code !== staleStatement) return
    this.#names.clear()
    this.#generation += 1
  }
}

/** A query that waits for a connection goes on where another one ends: it takes its own trace along. */
class TracedPool extends pg.Pool {
  override connect(callback?: (...args: never[]) => void): never {
    const connect = super.connect as (callback?: unknown) => unknown
    return connect.call(this, callback && bound(callback)) as never
  }
}

/**
 * A pool that survives a restart of Postgres.
 *
 * Without both error listeners an idle connection that dies ends the process. `queryTimeoutMs` bounds
 * every statement, at the server and here: a server that is gone without a word answers nothing.
 */
export function createPool(
  url: string,
  max: number,
  log: Log,
  queryTimeoutMs: number = queryTimeoutMsDefault,
): Pool {
  const pool = new TracedPool({
    Client: PreparingClient,
    connectionString: url,
    max,
    connectionTimeoutMillis: Math.min(connectTimeoutMsMax, queryTimeoutMs),
    query_timeout: queryTimeoutMs,
    statement_timeout: queryTimeoutMs,
    idle_in_transaction_session_timeout: queryTimeoutMs,
    keepAlive: true,
  })
  // Whoever's query opened the connection, its failure is not that order's.
  const warn = (error: Error, message: string) =>
    outsideTrace(() => outsideWork(() => log.warn({ err: error }, message)))
  pool.on('error', (error) => warn(error, 'idle database connection failed'))
  pool.on('connect', (client) => {
    client.on('error', (error) => warn(error, 'database connection failed'))
  })
  return pool
}

/**
 * Runs `work` in one transaction: commits what it returns, rolls back when it throws.
 *
 * Never call the network or a model inside: the connection and its locks are held meanwhile.
 */
export async function inTransaction<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  const tx = await pool.connect()
  let broken: Error | undefined
  try {
    await tx.query('begin')
    const result = await work(tx)
    await tx.query('commit')
    return result
  } catch (error) {
    await tx.query('rollback').catch((rollbackError: Error) => {
      broken = rollbackError
    })
    throw error
  } finally {
    tx.release(broken)
  }
}

// Postgres error classes that say "not now": connection trouble, resources, operator, deadlock.
const passingSqlStates = /^(08|53|57|40001|40P01|55P03)/
const passingCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND'])
/** Errors that pg and pg-pool make themselves carry no code: their texts, word for word. */
const passingMessages = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
])

/** True for what Postgres itself answered: wrong password, no such database, bad SQL. */
export const isDatabaseError = (error: unknown): error is pg.DatabaseError =>
  error instanceof pg.DatabaseError

/** Turns a passing database fault into `unavailable`, and leaves every other error as it is. */
export function databaseFault(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = String((error as { code?: unknown }).code ?? '')
  const passing = isDatabaseError(error)
    ? passingSqlStates.test(code)
    : passingCodes.has(code) || (error.name === 'Error' && passingMessages.has(error.message))
  if (!passing) return error
  return unavailable('database_unavailable', 'The database cannot be reached just now', {
    next: 'Try again in a few seconds.',
    cause: error,
  })
}
