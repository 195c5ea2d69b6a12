/** Structured logs: one JSON line an event, fields instead of prose, nothing secret or personal. */
import { type DestinationStream, type Logger, pino } from 'pino'
import { currentTraceId } from './tracing.ts'

export type Log = Logger

/** Never in a log line, neither at its top nor in what it holds, two levels down. */
const secrets = ['authorization', 'Authorization', 'accessToken', 'apiKey', 'password']
const secretPaths = [
  ...secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
  ...['["x-api-key"]', '*["x-api-key"]', '*.*["x-api-key"]'],
]

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
    // A line that names a trace itself keeps it: its fields win.
    mixin: () => {
      const traceId = currentTraceId()
      return traceId === undefined ? {} : { traceId }
    },
    redact: { paths: secretPaths, censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
