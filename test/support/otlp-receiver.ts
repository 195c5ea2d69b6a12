/** A collector for tests: takes OTLP over HTTP as JSON, and gives the spans back as a tree. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

export interface ReceivedSpan {
  readonly service: string
  /** Which process of that service. */
  readonly instance: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  /** 1 internal, 2 server, 3 client, 4 producer. */
  readonly kind: number
  readonly startNano: bigint
  readonly endNano: bigint
  /** 2 for an error. */
  readonly status: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
}

export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  /** Every body as it came, for whoever looks for words that must not be there. */
  readonly bodies: readonly string[]
  childrenOf(span: Pick<ReceivedSpan, 'traceId' | 'spanId'>): ReceivedSpan[]
}

/** Starts it on a free port. */
export async function otlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST' || request.url !== '/v1/traces')
      return response.writeHead(404).end()
    const body = (await json(request)) as OtlpBody
    bodies.push(JSON.stringify(body))
    spans.push(...spansOf(body))
    return response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    ...{ spans, bodies, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    childrenOf: ({ traceId, spanId }) =>
      spans
        .filter((span) => span.traceId === traceId && span.parentSpanId === spanId)
        .sort((a, b) => (a.startNano < b.startNano ? -1 : 1)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface OtlpValue {
  readonly stringValue?: string
  readonly intValue?: number | string
  readonly doubleValue?: number
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values?: readonly OtlpValue[] }
}
type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[]

interface OtlpBody {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: OtlpAttributes }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes?: OtlpAttributes
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status?: { readonly code?: number }
}

function spansOf({ resourceSpans }: OtlpBody): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const { 'service.name': service, 'service.instance.id': instance } = recordOf(
      resource.attributes,
    )
    const from = { service: String(service), instance: String(instance) }
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...from, ...received(span) })))
  })
}

const received = (span: OtlpSpan) => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId ?? '',
  name: span.name,
  kind: span.kind,
  startNano: BigInt(span.startTimeUnixNano),
  endNano: BigInt(span.endTimeUnixNano),
  status: span.status?.code ?? 0,
  attributes: recordOf(span.attributes ?? []),
  links: span.links ?? [],
})

const recordOf = (attributes: OtlpAttributes) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plainOf(value)]))

function plainOf(value: OtlpValue): unknown {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainOf)
  if (value.intValue !== undefined) return Number(value.intValue)
  return value.stringValue ?? value.doubleValue ?? value.boolValue
}
