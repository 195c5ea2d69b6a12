/** Structured logs: one JSON line an event, fields instead of prose, nothing secret or personal. */
import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger

/** Paths that never reach a log line, whatever object they arrive in. */
const secretPaths = [
  'authorization',
  'accessToken',
  'apiKey',
  'password',
  '*.authorization',
  '*.accessToken',
  '*.apiKey',
  '*.password',
]

/** A logger of one process. `destination` is stdout unless a test passes its own. */
export function createLog(service: string, level: string, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { service },
    redact: { paths: secretPaths, censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
