/**
 * Structured logs: one JSON line an event, fields instead of prose, nothing secret or personal. Each
 * line says of itself which order, step, attempt and trace it belongs to, where it belongs to one.
 */
import { type DestinationStream, type Logger, pino } from 'pino'
import { currentWork } from './work.ts'

export type Log = Logger

/** Never in a log line, neither at its top nor in what it holds, two levels down. */
const secrets = [
  ...['authorization', 'Authorization', 'cookie', 'accessToken', 'access_token', 'apiKey'],
  ...['password', 'secret', 'clientSecret', 'client_secret', 'clientAssertion', 'client_assertion'],
]
/** Words of people, and where they live, whatever object they come in. */
const personal = [
  ...['customer', 'customerName', 'email', 'phone', 'note', 'address', 'shipTo', 'recipient'],
  ...['street1', 'street2'],
]
const hiddenPaths = [
  ...[...secrets, ...personal].flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
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
    redact: { paths: hiddenPaths, censor: '[redacted]' },
    // Pino adds the fields of the line to this object, so it must be one of its own.
    mixin: () => ({ ...currentWork() }),
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
