import assert from 'node:assert/strict'
import { registerHooks } from 'node:module'
import { createServer } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { processConfig, readConfig } from '../../platform/config.ts'
import { rejected } from '../../platform/errors.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createHttpProcess } from '../../platform/service.ts'
import {
  currentTraceId,
  failSpan,
  inSpan,
  inTrace,
  linksFrom,
  newTraceId,
  openSpan,
  placeFrom,
  placeIn,
  spanIdOf,
  startTracing,
  traceparentFor,
} from '../../platform/tracing.ts'
import { type OtlpReceiver, otlpReceiver } from '../support/otlp-receiver.ts'
import { waitFor } from '../support/wait-for.ts'

// First of all: a module that is loaded stays loaded.
const loaded: string[] = []
registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier.startsWith('@opentelemetry/')) loaded.push(specifier)
    return next(specifier, context)
  },
})

const configOf = (env: Record<string, string>) => readConfig(processConfig, { PORT: '1', ...env })
const silent = createLog('test', 'silent')
const nothing = async () => {}

/** Records at a receiver of its own until the test ends. */
async function traced(env: Record<string, string> = {}) {
  const receiver = await otlpReceiver()
  const config = configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...env })
  const tracing = await startTracing(config, 'test', silent)
  cleanups.push(async () => {
    await tracing.stop()
    await receiver[Symbol.asyncDispose]()
  })
  return { receiver, sent: () => tracing.stop() }
}

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean()
})

const named = ({ spans }: OtlpReceiver, name: string) => {
  const found = spans.find((span) => span.name === name)
  assert.ok(found, `no span ${name} in ${spans.map((span) => span.name)}`)
  return found
}

describe('tracing that is off', () => {
  it('loads no OpenTelemetry, makes no span, and hands trace ids on', async () => {
    const tracing = await startTracing(configOf({}), 'test', silent)
    const traceId = newTraceId()

    const seen = await inTrace({ traceId }, () =>
      inSpan('work', {}, async (span) => [span, currentTraceId(), traceparentFor(traceId)]),
    )
    await tracing.stop()

    assert.deepEqual(loaded, [])
    assert.deepEqual(seen.slice(0, 2), [undefined, traceId])
    assert.match(String(seen[2]), new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
  })

  it('passes on that a trace is not sampled', () => {
    const traceId = newTraceId()
    const place = placeFrom(`00-${traceId}-00f067aa0ba902b7-00`)
    assert.ok(place)
    assert.equal(
      inTrace(place, () => traceparentFor(traceId)),
      `00-${traceId}-00f067aa0ba902b7-00`,
    )
  })
})

describe('spans', () => {
  it('are beneath one another, in the trace that is given, by attributes and kind', async () => {
    const { receiver, sent } = await traced()
    const traceId = newTraceId()

    await inTrace({ traceId }, () =>
      inSpan(
        'outer',
        { a: 'x', n: 2, absent: undefined },
        async () => {
          await inSpan('first', {}, nothing)
          await inSpan('second', {}, nothing, { kind: 'client' })
        },
        { kind: 'server' },
      ),
    )
    await sent()

    const outer = named(receiver, 'outer')
    assert.deepEqual(
      [outer.traceId, outer.parentSpanId, outer.kind, outer.service, outer.status],
      [traceId, '', 2, 'test', 0],
    )
    assert.deepEqual(outer.attributes, { a: 'x', n: 2 })
    assert.deepEqual(
      receiver.childrenOf(outer).map(({ name, kind }) => [name, kind]),
      [
        ['first', 1],
        ['second', 3],
      ],
    )
  })

  it('go on in another process by the traceparent that the first one hands on', async () => {
    const { receiver, sent } = await traced()
    const traceId = newTraceId()

    const header = await inTrace({ traceId }, () =>
      inSpan('here', {}, async () => traceparentFor(traceId)),
    )
    await inSpan('there', {}, nothing, { parent: placeFrom(header) })
    await sent()

    assert.equal(named(receiver, 'there').parentSpanId, named(receiver, 'here').spanId)
    assert.equal(named(receiver, 'there').traceId, traceId)
  })

  it('have an id that follows from a name where one is asked for, and link across traces', async () => {
    const { receiver, sent } = await traced()
    const [asking, order] = [newTraceId(), newTraceId()]
    const spanId = spanIdOf('run 1')

    await inTrace({ traceId: asking }, () =>
      inSpan('ask', {}, () =>
        inSpan('start', {}, nothing, {
          ...{ spanId, parent: placeIn(order), links: linksFrom(order) },
        }),
      ),
    )
    await sent()

    const start = named(receiver, 'start')
    assert.deepEqual([start.traceId, start.spanId, start.parentSpanId], [order, spanId, ''])
    assert.deepEqual(
      start.links.map((link) => [link.traceId, link.spanId]),
      [[asking, named(receiver, 'ask').spanId]],
    )
  })

  it('say the code of what went wrong and not a word of it', async () => {
    const { receiver, sent } = await traced()

    await inTrace({ traceId: newTraceId() }, async () => {
      const thrown = inSpan('thrown', {}, async () => {
        throw rejected('out_of_stock', 'Not enough for Kim')
      })
      await assert.rejects(thrown, { code: 'out_of_stock' })
      await assert.rejects(
        inSpan('bug', {}, async () => {
          throw new TypeError('Kim')
        }),
      )
      await inSpan('told', {}, async () => failSpan('no_stock'))
    })
    await sent()

    for (const [name, code] of [
      ['thrown', 'out_of_stock'],
      ['bug', 'TypeError'],
      ['told', 'no_stock'],
    ] as const) {
      const { status, attributes } = named(receiver, name)
      assert.deepEqual([status, attributes['error.type']], [2, code])
    }
    assert.doesNotMatch(receiver.bodies.join(), /Kim/)
  })

  for (const [asked, kept] of [
    ['false', undefined],
    ['true', 'Dear Kim'],
  ] as const) {
    it(`keep content ${kept ? 'when' : 'unless'} TRACE_CONTENT is ${asked}`, async () => {
      const { receiver, sent } = await traced({ TRACE_CONTENT: asked })

      await inTrace({ traceId: newTraceId() }, () =>
        inSpan('chat', {}, async (span) => span?.content(() => ({ prompt: 'Dear Kim' }))),
      )
      await sent()

      assert.equal(named(receiver, 'chat').attributes.prompt, kept)
    })
  }

  it('are not made outside any trace', async () => {
    const { receiver, sent } = await traced()
    await inSpan('sweep', {}, nothing)
    assert.equal(openSpan('sweep', {}), undefined)
    await sent()
    assert.deepEqual(receiver.spans, [])
  })
})

describe('sampling', () => {
  const ratio = (share: string) => ({
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: share,
  })
  const visit = (traceId: string) =>
    inTrace({ traceId }, () =>
      inSpan('root', {}, () => inSpan('leaf', {}, async () => traceparentFor(traceId))),
    )

  it('keeps its share of traces, each of them whole, and tells the next hop', async () => {
    const { receiver, sent } = await traced(ratio('0.25'))
    const headers = await Promise.all(Array.from({ length: 400 }, () => visit(newTraceId())))
    await sent()

    const kept = receiver.spans.filter((span) => span.name === 'root')
    assert.ok(kept.length > 50 && kept.length < 150, `kept ${kept.length} of 400`)
    assert.equal(receiver.spans.length, 2 * kept.length)
    const sampled = headers.filter((header) => header.endsWith('-01'))
    assert.deepEqual(
      new Set(sampled.map((header) => header.split('-')[1])),
      new Set(kept.map((span) => span.traceId)),
    )
  })

  it('follows the caller, whatever its own share is', async () => {
    const { receiver, sent } = await traced(ratio('0'))
    const [yes, no] = [newTraceId(), newTraceId()]
    await inSpan('asked', {}, nothing, { parent: placeFrom(`00-${yes}-00f067aa0ba902b7-01`) })
    await inSpan('asked', {}, nothing, { parent: placeFrom(`00-${no}-00f067aa0ba902b7-00`) })
    await visit(newTraceId())
    await sent()

    assert.deepEqual(
      receiver.spans.map((span) => span.traceId),
      [yes],
    )
  })

  it('decides alike in every process of a run whose start nobody remembers', async () => {
    const places = Array.from({ length: 100 }, () => ({
      traceId: newTraceId(),
      spanId: spanIdOf('run'),
    }))
    const keptOf = async () => {
      const { receiver, sent } = await traced(ratio('0.5'))
      for (const parent of places) await inSpan('step', {}, nothing, { parent })
      await sent()
      return receiver.spans.map((span) => span.traceId).sort()
    }

    const first = await keptOf()

    assert.ok(first.length > 0 && first.length < places.length)
    assert.deepEqual(await keptOf(), first)
  })
})

describe('the HTTP shell', () => {
  it('puts a request, its handler and its log lines into the trace of its traceparent', async () => {
    const { receiver, sent } = await traced()
    const lines: string[] = []
    const log = createLog('test', 'info', { write: (line) => lines.push(line) })
    const { app } = createHttpProcess({ log, metrics: createMetrics('test'), checkReady: nothing })
    app.post('/things/:id', async () => {
      log.info('handled')
      return inSpan('inside', {}, async () => ({ traceId: currentTraceId() }))
    })
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    cleanups.push(() => app.close())
    const traceId = newTraceId()
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }

    // In two parts: the second one comes by an event of the socket alone.
    const body = new ReadableStream({
      start: async (controller) => {
        controller.enqueue(Buffer.from('{"a":'))
        await new Promise((resolve) => setTimeout(resolve, 50))
        controller.enqueue(Buffer.from('1}'))
        controller.close()
      },
    })
    const type = { 'content-type': 'application/json' }
    const answer = await fetch(`${address}/things/secret-7`, {
      ...{ method: 'POST', headers: { ...headers, ...type }, body, duplex: 'half' },
    })
    assert.deepEqual(await answer.json(), { traceId })
    await (await fetch(`${address}/nowhere`, { headers })).text()
    await (await fetch(`${address}/healthz`, { headers })).text()
    await app.close()
    await sent()

    const request = named(receiver, 'POST /things/:id')
    assert.deepEqual(
      [request.traceId, request.parentSpanId, request.kind],
      [traceId, '00f067aa0ba902b7', 2],
    )
    assert.deepEqual(request.attributes, {
      'http.request.method': 'POST',
      'http.route': '/things/:id',
      'http.response.status_code': 200,
    })
    assert.deepEqual(
      receiver.childrenOf(request).map((span) => span.name),
      ['inside'],
    )
    assert.equal(named(receiver, 'GET').attributes['http.response.status_code'], 404)
    assert.equal(receiver.spans.length, 3)
    assert.doesNotMatch(receiver.bodies.join(), /secret-7/)
    const handled = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'handled')
    assert.equal(handled.traceId, traceId)
  })
})

describe('a log line', () => {
  it('names the trace at hand, unless it names another itself', () => {
    const lines: string[] = []
    const log = createLog('test', 'info', { write: (line) => lines.push(line) })
    const traceId = newTraceId()

    log.info('outside')
    inTrace({ traceId }, () => {
      log.info('inside')
      log.info({ traceId: 'other' }, 'named')
    })

    assert.deepEqual(
      lines.map((line) => JSON.parse(line).traceId),
      [undefined, traceId, 'other'],
    )
    assert.ok(lines.every((line) => line.split('"traceId"').length <= 2))
  })
})

describe('a collector that is away', () => {
  it('is told of once, holds nothing up and does not keep a process from stopping', async () => {
    // Takes connections and never answers.
    const sockets = new Set<import('node:net').Socket>()
    const mute = createServer((socket) => sockets.add(socket.on('error', () => {})))
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as { port: number }
    const config = configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` })
    const tracing = await startTracing(config, 'test', silent)

    const startedAt = performance.now()
    await inTrace({ traceId: newTraceId() }, async () => {
      for (let span = 0; span < 10_000; span++) await inSpan('work', {}, nothing)
    })
    const workMs = performance.now() - startedAt
    await tracing.stop()
    const stopMs = performance.now() - startedAt - workMs

    assert.ok(workMs < 3_000, `10 000 spans took ${workMs} ms`)
    assert.ok(stopMs < 4_000, `stopped after ${stopMs} ms`)
    for (const socket of sockets) socket.destroy()
    mute.close()
  })

  it('is told of by one line, not by one a batch', async () => {
    const lines: string[] = []
    const log = createLog('test', 'info', { write: (line) => lines.push(line) })
    const receiver = await otlpReceiver()
    await receiver[Symbol.asyncDispose]()
    const config = configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url })
    const tracing = await startTracing(config, 'test', log)
    cleanups.push(() => tracing.stop())

    await inTrace({ traceId: newTraceId() }, () => inSpan('work', {}, nothing))
    await waitFor(() => lines.length > 0, { what: 'the warning', timeoutMs: 15_000 })

    assert.deepEqual(
      lines.map((line) => JSON.parse(line).msg),
      ['the collector takes no spans'],
    )
  })
})

describe('the configuration of traces', () => {
  it('reads the headers of a collector, and names what it cannot use', () => {
    const config = configOf({ OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b, other=c=d' })
    assert.deepEqual(config.OTEL_EXPORTER_OTLP_HEADERS, { 'x-key': 'a b', other: 'c=d' })
    for (const [name, value] of [
      ['OTEL_EXPORTER_OTLP_HEADERS', 'x-key'],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector'],
      ['OTEL_TRACES_SAMPLER', 'sometimes'],
      ['OTEL_TRACES_SAMPLER_ARG', '2'],
    ] as const) {
      assert.throws(() => configOf({ [name]: value }), { name: 'ConfigError' }, name)
    }
  })
})
