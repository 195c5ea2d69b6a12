/**
 * Spans by OpenTelemetry, sent to a collector as OTLP over HTTP (JSON). The only file that knows it,
 * loaded only where a collector is named. Nothing is registered globally: what libraries would record
 * by themselves could hold prompts, and would run again with a replayed workflow.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import {
  type Context,
  type Link,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { TracingConfig } from './config.ts'
import type { Log } from './log.ts'
import { attribute } from './trace-attributes.ts'
import type { Attributes, Recorder, Span, SpanOptions, TracePlace } from './tracing.ts'

/** Spans that wait for the collector; beyond that new ones are dropped. */
const queueMax = 4_096
const batchMax = 512
const sendEveryMs = 1_000
const sendTimeoutMs = 5_000
/** A process that stops waits no longer for a collector. */
const stopMs = 2_000
const valueCharactersMax = 16_384

type Config = TracingConfig & { readonly OTEL_EXPORTER_OTLP_ENDPOINT: string }

/** Starts to record. Never throws for what the collector does, and nobody waits for it. */
export function createRecorder(config: Config, service: string, log: Log): Recorder {
  const sampler = samplerOf(config)
  const ids = new Ids()
  const provider = new TracerProvider({
    sampler,
    idGenerator: ids,
    resource: resourceFromAttributes({
      'service.namespace': 'baton',
      'service.name': service,
      'service.instance.id': randomUUID(),
    }),
    spanLimits: { attributeValueLengthLimit: valueCharactersMax },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: toldOf(createExporter(config), log),
        maxQueueSize: queueMax,
        maxExportBatchSize: batchMax,
        scheduledDelayMillis: sendEveryMs,
        exportTimeoutMillis: sendTimeoutMs,
      }),
    ],
  })
  const tracer = provider.getTracer('baton')
  const contextOf = (place: TracePlace): SpanContext | undefined => {
    if (place.spanId === undefined) return undefined
    const isSampled = place.isSampled ?? keeps(sampler, place.traceId)
    const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE
    return { traceId: place.traceId, spanId: place.spanId, traceFlags, isRemote: true }
  }

  return {
    start: (name, attributes, { kind = 'internal', parent, spanId, links = [] }) => {
      const parentContext = contextOf(parent)
      const context =
        parentContext === undefined
          ? ROOT_CONTEXT
          : trace.setSpanContext(ROOT_CONTEXT, parentContext)
      ids.next = { traceId: parent.traceId, ...(spanId !== undefined && { spanId }) }
      const linked = links.flatMap((place): Link[] => {
        const linkedContext = contextOf(place)
        return linkedContext === undefined ? [] : [{ context: linkedContext }]
      })
      const options = { kind: kinds[kind], attributes: plain(attributes), links: linked }
      return spanOf(tracer.startSpan(name, options, context), config.TRACE_CONTENT)
    },
    stop: async () => {
      const late = new Promise<void>((resolve) => setTimeout(resolve, stopMs).unref())
      await Promise.race([provider.shutdown().catch(() => {}), late])
    },
  }
}

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
} as const satisfies Record<NonNullable<SpanOptions['kind']>, SpanKind>

function spanOf(otel: OtelSpan, withContent: boolean): Span {
  const { traceId, spanId } = otel.spanContext()
  const isSampled = otel.isRecording()
  const span: Span = {
    // Made once: it is asked for by everything beneath.
    place: {
      ...{ traceId, spanId, isSampled },
      get span() {
        return span
      },
    },
    set: (attributes) => void otel.setAttributes(plain(attributes)),
    content: (attributes) => {
      if (withContent && isSampled) otel.setAttributes(plain(attributes()))
    },
    fail: (code) => {
      otel.setAttribute(attribute.errorType, code)
      otel.setStatus({ code: SpanStatusCode.ERROR })
    },
    end: () => otel.end(),
  }
  return span
}

const plain = (attributes: Attributes) =>
  attributes as Record<string, string | number | boolean | string[]>

/** Random ids, but for those that are given: the trace of an order, the first span of a run. */
class Ids implements IdGenerator {
  next: { traceId?: string; spanId?: string } = {}

  generateTraceId(): string {
    return this.next.traceId ?? randomBytes(16).toString('hex')
  }

  generateSpanId(): string {
    return this.next.spanId ?? randomBytes(8).toString('hex')
  }
}

/** The choices of OTEL_TRACES_SAMPLER; a ratio is of trace ids, so every process chooses alike. */
function samplerOf(config: Config): Sampler {
  const ratio = config.OTEL_TRACES_SAMPLER_ARG
  const name = config.OTEL_TRACES_SAMPLER.replace('parentbased_', '')
  const root =
    name === 'always_off'
      ? new AlwaysOffSampler()
      : name === 'traceidratio'
        ? new TraceIdRatioBasedSampler(ratio)
        : new AlwaysOnSampler()
  return name === config.OTEL_TRACES_SAMPLER ? root : new ParentBasedSampler({ root })
}

/** What the sampler says of a trace of which nobody has decided yet. */
const keeps = (sampler: Sampler, traceId: string): boolean =>
  sampler.shouldSample(ROOT_CONTEXT as Context, traceId, '', SpanKind.INTERNAL, {}, []).decision ===
  SamplingDecision.RECORD_AND_SAMPLED

function createExporter(config: Config): SpanExporter {
  return new OTLPTraceExporter({
    url: `${config.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    timeoutMillis: sendTimeoutMs,
    // A stop sends all that waits at once.
    concurrencyLimit: queueMax / batchMax + 1,
  })
}

/** Logs when the collector stops taking spans, and when it takes them again: not every batch. */
function toldOf(exporter: SpanExporter, log: Log): SpanExporter {
  let isFailing = false
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const failed = result.code !== 0
        if (failed && !isFailing) log.warn({ err: result.error }, 'the collector takes no spans')
        if (!failed && isFailing) log.info('the collector takes spans again')
        isFailing = failed
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
  }
}
