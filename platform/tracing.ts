/** W3C trace context (https://www.w3.org/TR/trace-context/): read, make and pass on a traceparent. */
import { randomBytes } from 'node:crypto'

const traceparent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/
const allZero = /^0+$/

/** The trace id of an incoming `traceparent`, or a new one when it is absent or malformed. */
export function traceIdFrom(header: unknown): string {
  const match = typeof header === 'string' ? traceparent.exec(header) : null
  const traceId = match?.[1]
  if (traceId === undefined || allZero.test(traceId)) return newTraceId()
  return traceId
}

/** The trace of one MCP message: its own `_meta.traceparent`, else that of the request around it. */
export function traceOf(
  meta: Readonly<Record<string, unknown>> | undefined,
  outer: string,
): string {
  return meta?.traceparent === undefined ? outer : traceIdFrom(meta.traceparent)
}

/** A new random trace id: 32 hex digits. */
export function newTraceId(): string {
  return randomBytes(16).toString('hex')
}

/** A `traceparent` value for the next hop of a trace. */
export function traceparentFor(traceId: string): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-01`
}
