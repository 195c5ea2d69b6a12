/** Why a process did not start, for the person who started it: one line, and what to check. */
import { databaseFault, isDatabaseError } from './db.ts'

const bugs: readonly (new (message?: string) => Error)[] = [TypeError, RangeError, ReferenceError]
const portCodes = new Set<unknown>(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL'])

/** One line; only what looks like a bug of ours keeps its stack. */
export function startProblem(error: unknown): string {
  if (!(error instanceof Error)) return `Cannot start: ${String(error)}`
  const code = (error as { code?: unknown }).code
  if (code === undefined && bugs.some((bug) => error instanceof bug)) {
    return `Cannot start: ${error.stack ?? error.message}`
  }
  // A connection refused on every address of a host is an AggregateError without a message.
  const text = error.message || causesOf(error) || String(code ?? error.name)
  return [`Cannot start: ${text.trimEnd().replace(/\.$/, '')}.`, ...whatToCheck(error, code)].join(
    ' ',
  )
}

const causesOf = (error: Error): string =>
  error instanceof AggregateError
    ? error.errors.map((one: unknown) => (one instanceof Error ? one.message : one)).join('; ')
    : ''

function whatToCheck(error: Error, code: unknown): readonly string[] {
  if (portCodes.has(code)) return ['Check HOST and PORT: another process may have the port.']
  if (isDatabaseError(error) || databaseFault(error) !== error) {
    return ['Check DATABASE_URL, and that Postgres runs and can be reached.']
  }
  return []
}
