/**
 * Structured logs: one JSON line an event, fields instead of prose, nothing secret or personal. Each
 * line says of itself which order, step, attempt and trace it belongs to, where it belongs to one.
 */
import { type DestinationStream, type Logger, pino } from 'pino'
import { currentTraceId } from './tracing.ts'
import { currentWork } from './work.ts'

export type Log = Logger

/** Secrets, words of people, and where they live: never in a log line, whatever object they come in. */
const hiddenNames: ReadonlySet<string> = new Set([
  ...['authorization', 'Authorization', 'x-api-key', 'cookie', 'password', 'secret', 'apiKey'],
  ...['accessToken', 'access_token', 'clientSecret', 'client_secret'],
  ...['clientAssertion', 'client_assertion'],
  ...['customer', 'customerName', 'email', 'phone', 'note', 'address', 'shipTo', 'recipient'],
  ...['street1', 'street2'],
])
/** Deeper than anything that is logged. */
const levelsMax = 6

/**
 * The same fields with what is hidden left out of sight. By hand, at any depth: the redaction of pino
 * takes a path for each name and depth, and with half as many names as these it cost five times as
 * much CPU a line as all the rest.
 */
function withoutHidden<T extends object>(fields: T, levelsLeft = levelsMax): T {
  let copy: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(fields)) {
    const shown = hiddenNames.has(name) ? '[redacted]' : shownOf(value, levelsLeft - 1)
    if (shown === value || value === undefined) continue
    copy ??= (Array.isArray(fields) ? [...fields] : { ...fields }) as Record<string, unknown>
    copy[name] = shown
  }
  return (copy ?? fields) as T
}

function shownOf(value: unknown, levelsLeft: number): unknown {
  // Of an error the serializer takes what may be shown.
  if (typeof value !== 'object' || value === null || value instanceof Error) return value
  return levelsLeft === 0 ? '[deeper]' : withoutHidden(value, levelsLeft)
}

const causesMax = 3

/**
 * The part of an error that may be logged. Everything else that libraries hang on it can be secret
 * or personal: the row in `detail` of pg, headers, bodies.
 */
function loggable(error: unknown, causesLeft = causesMax): unknown {
  if (typeof error !== 'object' || error === null) return error
  const { name, message, code, kind, constraint, stack, cause } = error as Record<string, unknown>
  const kept = { type: name, message, code, kind, constraint, stack }
  if (cause === undefined || cause === null || causesLeft === 0) return kept
  return { ...kept, cause: loggable(cause, causesLeft - 1) }
}

/** A logger of one process. `destination` is stdout unless a test passes its own. */
export function createLog(service: string, level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { service },
    serializers: { err: (error: unknown) => loggable(error) },
    // Pino adds the fields of the line to this object, so it must be one of its own.
    mixin: () => {
      const traceId = currentTraceId()
      return { ...(traceId !== undefined && { traceId }), ...currentWork() }
    },
    formatters: {
      level: (label: string) => ({ level: label }),
      log: (fields: Record<string, unknown>) => withoutHidden(fields),
    },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
