/**
 * Which trace the code at hand works for. It travels by itself along awaited calls, so that a log line
 * or a query need not be told. On the wire it is W3C trace context (https://www.w3.org/TR/trace-context/).
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'

/** A place in a trace: what comes next belongs to it. */
export interface TracePlace {
  readonly traceId: string
  /** The span that what comes next is under; absent where only the trace is known. */
  readonly spanId?: string
  /** Whether its spans are kept; absent where nobody has decided yet. */
  readonly isSampled?: boolean
}

const traceparent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const allZero = /^0+$/
const sampledFlag = 1

const here = new AsyncLocalStorage<TracePlace>()

/** The trace that the code at hand works for; undefined outside any, as in a start or a sweep. */
export function currentTraceId(): string | undefined {
  return here.getStore()?.traceId
}

/** Runs `work`, and all that it awaits, at a place in a trace. */
export function inTrace<T>(place: TracePlace, work: () => T): T {
  return here.run(place, work)
}

/** The place that an incoming `traceparent` names; undefined when it is absent or malformed. */
export function placeFrom(header: unknown): TracePlace | undefined {
  const match = typeof header === 'string' ? traceparent.exec(header) : null
  const [, traceId = '0', spanId = '0', flags = '0'] = match ?? []
  if (allZero.test(traceId) || allZero.test(spanId)) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & sampledFlag) === sampledFlag }
}

/** The trace id of an incoming `traceparent`, or a new one when it is absent or malformed. */
export function traceIdFrom(header: unknown): string {
  return placeFrom(header)?.traceId ?? newTraceId()
}

/** The place of one MCP message: its own `_meta.traceparent`, else that of the request around it. */
export function placeOf(
  meta: Readonly<Record<string, unknown>> | undefined,
  outerTraceId: string,
): TracePlace {
  const place = here.getStore()
  const outer = place?.traceId === outerTraceId ? place : { traceId: outerTraceId }
  return meta?.traceparent === undefined ? outer : (placeFrom(meta.traceparent) ?? outer)
}

/** A new random trace id: 32 hex digits. */
export function newTraceId(): string {
  return randomBytes(16).toString('hex')
}

/** A `traceparent` value for the next hop of a trace: under the span at hand, if it is of this trace. */
export function traceparentFor(traceId: string): string {
  const place = here.getStore()
  const { spanId, isSampled = true } = place?.traceId === traceId ? place : {}
  return `00-${traceId}-${spanId ?? randomBytes(8).toString('hex')}-${isSampled ? '01' : '00'}`
}
