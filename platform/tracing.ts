/**
 * Which trace the code at hand works for, and spans around what it does. The place travels by itself
 * along awaited calls, so that a log line or a query need not be told. On the wire it is W3C trace
 * context (https://www.w3.org/TR/trace-context/). Without OTEL_EXPORTER_OTLP_ENDPOINT no span is made
 * and no OpenTelemetry code is loaded; trace ids flow all the same.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash, randomBytes } from 'node:crypto'
import type { TracingConfig } from './config.ts'
import type { Log } from './log.ts'

/** A place in a trace: what comes next belongs to it. */
export interface TracePlace {
  readonly traceId: string
  /** The span that what comes next is under; absent where only the trace is known. */
  readonly spanId?: string
  /** Whether its spans are kept; absent where nobody has decided yet. */
  readonly isSampled?: boolean
  /** The span itself, where this process has made it. */
  readonly span?: Span
}

type Value = string | number | boolean | readonly string[] | undefined
export type Attributes = Readonly<Record<string, Value>>

export interface Span {
  /** What happens within it belongs here. */
  readonly place: TracePlace
  set(attributes: Attributes): void
  /** Prompts, answers, arguments: built and kept only where TRACE_CONTENT asks for them. */
  content(attributes: () => Attributes): void
  /** Marks it as failed: by the code of an error, never by its words. */
  fail(code: string): void
  end(): void
}

export interface SpanOptions {
  /** Default internal. */
  readonly kind?: 'internal' | 'server' | 'client' | 'producer'
  /** Default: the place at hand. */
  readonly parent?: TracePlace | undefined
  /** Its id, where others must be able to tell it; else random. */
  readonly spanId?: string
  readonly links?: readonly TracePlace[]
}

/** Makes spans and sends them; see otel.ts. */
export interface Recorder {
  start(name: string, attributes: Attributes, at: SpanOptions & { parent: TracePlace }): Span
  /** Sends what waits, and gives up after a while. */
  stop(): Promise<void>
}

const here = new AsyncLocalStorage<TracePlace>()
let recorder: Recorder | undefined

/** Begins to record spans of this process, if the configuration says where to send them. */
export async function startTracing(
  config: TracingConfig,
  service: string,
  log: Log,
): Promise<{ stop(): Promise<void> }> {
  const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT
  if (endpoint === undefined) return { stop: async () => {} }
  const { createRecorder } = await import('./otel.ts')
  const started = createRecorder({ ...config, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, service, log)
  recorder = started
  return {
    stop: async () => {
      if (recorder === started) recorder = undefined
      await started.stop()
    },
  }
}

/** The trace that the code at hand works for; undefined outside any, as in a start or a sweep. */
export function currentTraceId(): string | undefined {
  return here.getStore()?.traceId
}

/** Where in a trace the code at hand is. */
export function currentPlace(): TracePlace | undefined {
  return here.getStore()
}

/** Runs `work`, and all that it awaits, at a place in a trace. */
export function inTrace<T>(place: TracePlace, work: () => T): T {
  return here.run(place, work)
}

/** Runs `work` as part of no trace. */
export function outsideTrace<T>(work: () => T): T {
  return here.exit(work)
}

/** The place at hand if it is in this trace; else the trace alone. */
export function placeIn(traceId: string): TracePlace {
  const place = here.getStore()
  return place?.traceId === traceId ? place : { traceId }
}

/** What a span in this trace links to: the place at hand, if it is in another. */
export function linksFrom(traceId: string): TracePlace[] {
  const place = here.getStore()
  return place === undefined || place.traceId === traceId ? [] : [place]
}

/**
 * Begins a span; `undefined` when there is nothing to record: tracing is off, the place is in no trace,
 * or its trace was left out here. Whoever begins one must end it.
 */
export function openSpan(
  name: string,
  attributes: Attributes,
  options: SpanOptions = {},
): Span | undefined {
  const parent = options.parent ?? here.getStore()
  if (recorder === undefined || parent === undefined) return undefined
  if (parent.span !== undefined && parent.isSampled === false) return undefined
  return recorder.start(name, attributes, { ...options, parent })
}

/** Whether the code at hand is in a span of this process that is kept. */
export function isRecorded(): boolean {
  const place = here.getStore()
  return place?.span !== undefined && place.isSampled === true
}

/** Runs `work` in a span; without one to record it still runs at `parent`. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: (span: Span | undefined) => Promise<T>,
  options: SpanOptions = {},
): Promise<T> {
  const span = openSpan(name, attributes, options)
  const place = span?.place ?? options.parent
  if (span === undefined) return place ? here.run(place, work, undefined) : work(undefined)
  try {
    return await here.run(span.place, work, span)
  } catch (error) {
    span.fail(codeOf(error))
    throw error
  } finally {
    span.end()
  }
}

/** Marks the span at hand as failed, where a failure is data and nothing is thrown. */
export function failSpan(code: string): void {
  here.getStore()?.span?.fail(code)
}

const plainCode = /^[\w-]{1,64}$/

/** What a span says of an error: its code or its class. Its message may hold anything. */
export function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  if (typeof code === 'string' && plainCode.test(code)) return code
  return typeof name === 'string' && plainCode.test(name) ? name : 'unknown'
}

/** Keeps the place at hand for a callback, which may be called from anywhere. */
export function bound<F extends (...args: never[]) => unknown>(callback: F): F {
  const bind = AsyncLocalStorage.bind as (fn: F) => F
  return isRecorded() ? bind(callback) : callback
}

/** The id of a span that every process must be able to tell, from what it stands for. */
export function spanIdOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 16)
}

const traceparent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const allZero = /^0+$/
const sampledFlag = 1

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
  return placeFrom(meta?.traceparent) ?? placeIn(outerTraceId)
}

/** A new random trace id: 32 hex digits. */
export function newTraceId(): string {
  return randomBytes(16).toString('hex')
}

/** A `traceparent` value for the next hop of a trace: under the span at hand, if it is of this trace. */
export function traceparentFor(traceId: string): string {
  const { spanId, isSampled = true } = placeIn(traceId)
  return `00-${traceId}-${spanId ?? randomBytes(8).toString('hex')}-${isSampled ? '01' : '00'}`
}
