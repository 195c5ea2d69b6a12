import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fastify } from 'fastify'
import { z } from 'zod'
import { processConfig, readConfig } from '../../platform/config.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createModel, type Model, type TurnRequest, toModelSchema } from '../../platform/model.ts'
import { costNanoUsd, readPrices } from '../../platform/prices.ts'
import { inTrace, newTraceId, startTracing } from '../../platform/tracing.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { freePort } from '../support/free-port.ts'
import { otlpReceiver } from '../support/otlp-receiver.ts'
import { waitFor } from '../support/wait-for.ts'

const prices = readPrices()
const never = new AbortController().signal
const orderSchema = z.object({ orderId: z.uuid(), count: z.int().min(1).max(5) })
const verdictSchema = z.object({
  verdict: z.enum(['accept', 'review']),
  risk: z.enum(['low', 'medium', 'high']),
  noteContainsInstructions: z.boolean(),
  reasons: z.array(z.string().max(300)).max(8),
})
const customerSchema = z.object({ customerId: z.string() })
const tool = (name: string, schema: z.ZodType) => ({
  name,
  description: `The tool ${name}.`,
  inputSchema: toModelSchema(schema),
})
const request: TurnRequest = {
  model: 'claude-haiku-5-5',
  effort: 'low',
  outputTokensMax: 4_000,
  system: `<role>${'Judge orders. '.repeat(300)}</role>`,
  tools: [
    tool('get_order', z.object({ orderId: z.string() })),
    tool('find_customer', customerSchema),
    tool('get_product', z.object({ sku: z.string() })),
    tool('recent_orders', customerSchema),
  ],
  messages: [
    {
      role: 'user',
      content: [
        {
          type: 'text',
          text: '<task>{"orderId":"o-1","round":1,"customerId":"kim","skus":["MUG"]}</task>',
        },
      ],
    },
  ],
  verdictSchema: toModelSchema(verdictSchema),
}

describe('a turn of Claude', () => {
  const claude = createClaudeStandin()
  let claudeUrl: string
  let metrics: ReturnType<typeof createMetrics>
  let model: Model

  before(async () => {
    claudeUrl = await claude.listen({ host: '127.0.0.1', port: 0 })
  })
  after(() => claude.close())
  beforeEach(() => {
    metrics = createMetrics('test')
    model = createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL: claudeUrl }, prices, metrics)
  })
  afterEach(() => fetch(`${claudeUrl}/faults`, { method: 'DELETE' }))

  const setFault = (fault: object) =>
    fetch(`${claudeUrl}/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ faults: [fault] }),
    })

  it('comes with its content, its usage and the exact cost of it', async () => {
    const reply = await model.turn(request, never)

    assert.equal(reply.stopReason, 'tool_use')
    assert.deepEqual(
      reply.content.filter((block) => block.type === 'tool_use').map((block) => block.name),
      ['get_order', 'find_customer', 'get_product', 'recent_orders'],
    )
    assert.equal(reply.content[0]?.type, 'thinking')
    assert.ok(reply.usage.outputTokens > 0)
    assert.equal(reply.costNanoUsd, costNanoUsd(prices, request.model, reply.usage))
  })

  for (const [asked, kept] of [
    ['false', []],
    ['true', ['gen_ai.input.messages', 'gen_ai.output.messages', 'gen_ai.system_instructions']],
  ] as const) {
    it(`is a span with its usage, and its words only if TRACE_CONTENT: ${asked}`, async () => {
      await using receiver = await otlpReceiver()
      const env = { PORT: '1', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, TRACE_CONTENT: asked }
      const config = readConfig(processConfig, env)
      const tracing = await startTracing(config, 'test', createLog('test', 'silent'))
      const { usage, costNanoUsd: cost } = await inTrace({ traceId: newTraceId() }, () =>
        model.turn(request, never),
      )
      await tracing.stop()

      const [span, ...more] = receiver.spans
      assert.deepEqual(more, [])
      assert.partialDeepStrictEqual(span, { name: 'chat claude-haiku-5-5', kind: 3, status: 0 })
      const said = Object.keys(span?.attributes ?? {})
      assert.deepEqual(said.filter((name) => /messages|instructions/.test(name)).sort(), kept)
      assert.equal(receiver.bodies.join().includes('Judge orders'), asked === 'true')
      assert.partialDeepStrictEqual(span?.attributes, {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'anthropic',
        'gen_ai.request.model': 'claude-haiku-5-5',
        'gen_ai.response.finish_reasons': ['tool_use'],
        'gen_ai.usage.output_tokens': usage.outputTokens,
        'gen_ai.usage.cache_read.input_tokens': usage.cacheReadTokens,
        'baton.cost_nano_usd': cost,
      })
    })
  }

  it('is a span that failed, by the code of why', async () => {
    await using receiver = await otlpReceiver()
    const env = { PORT: '1', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }
    const config = readConfig(processConfig, env)
    const tracing = await startTracing(config, 'test', createLog('test', 'silent'))
    await setFault({ kind: 'status', status: 529, times: 1 })
    const turn = inTrace({ traceId: newTraceId() }, () => model.turn(request, never))
    await assert.rejects(turn, { code: 'model_overloaded' })
    await tracing.stop()

    const [span] = receiver.spans
    assert.deepEqual([span?.status, span?.attributes['error.type']], [2, 'model_overloaded'])
  })

  it('rests a model that fails again and again, tries once, and goes on', async () => {
    await setFault({ kind: 'status', status: 529, times: 8 })
    const codes: string[] = []
    const turn = () =>
      model.turn(request, never).then(
        () => codes.push('fine'),
        (error: { code: string }) => codes.push(error.code),
      )
    const state = async () => {
      const found = (await metrics.registry.getMetricsAsJSON()).find(
        ({ name }) => name === 'circuit_breaker_state',
      )
      return found?.values.find(({ labels }) => labels.dependency === request.model)?.value
    }
    for (let time = 0; time < 9; time++) await turn()
    assert.deepEqual(codes, [...Array(8).fill('model_overloaded'), 'circuit_open'])
    assert.equal(await state(), 2)

    const isBack = async () => (await turn()) > 0 && codes.at(-1) === 'fine'
    await waitFor(isBack, { what: 'the trial after the rest' })

    assert.equal(await state(), 0)
  })

  it('does not rest a model whose rate limit is used up: it is there', async () => {
    await setFault({ kind: 'status', status: 429, times: 10, retryAfterSeconds: 1 })
    for (let time = 0; time < 10; time++) {
      await assert.rejects(model.turn(request, never), { code: 'model_rate_limited' })
    }

    assert.equal((await model.turn(request, never)).stopReason, 'tool_use')
  })

  it('is not asked for once the answers said that the rate limit is used up', async () => {
    const limited = createClaudeStandin({ rateLimits: { requests: 1 } })
    const url = await limited.listen({ host: '127.0.0.1', port: 0 })
    const asking = createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL: url }, prices, metrics)
    try {
      await asking.turn(request, never)

      await assert.rejects(asking.turn(request, never), { code: 'model_rate_limited' })
      const { entries } = (await (await fetch(`${url}/journal`)).json()) as { entries: object[] }
      assert.equal(entries.length, 1)
    } finally {
      await limited.close()
    }
  })

  it('reads tools and prompt from the cache the second time', async () => {
    await model.turn(request, never)
    const { usage } = await model.turn(request, never)

    assert.ok(usage.cacheReadTokens > 512, JSON.stringify(usage))
  })

  it('is counted, with its mode on every metric', async () => {
    await model.turn(request, never)
    const recorded = await metrics.registry.getMetricsAsJSON()

    for (const name of [
      'claude_requests_total',
      'claude_tokens_total',
      'claude_cost_usd_total',
      'claude_request_duration_seconds',
      'claude_time_to_first_token_seconds',
    ]) {
      const labels = recorded.find((metric) => metric.name === name)?.values.at(0)?.labels
      assert.equal(labels?.mode, 'standin', name)
      assert.equal(labels?.model, 'claude-haiku-5-5', name)
    }
  })

  const faults: readonly (readonly [object, string, string])[] = [
    [{ kind: 'status', status: 529 }, 'unavailable', 'model_overloaded'],
    [{ kind: 'status', status: 500 }, 'unavailable', 'model_overloaded'],
    [{ kind: 'status', status: 429 }, 'unavailable', 'model_rate_limited'],
    [{ kind: 'stream_error' }, 'unavailable', 'model_overloaded'],
    [{ kind: 'status', status: 400 }, 'invalid', 'model_request_refused'],
    [{ kind: 'status', status: 413 }, 'invalid', 'model_request_refused'],
    [{ kind: 'status', status: 401 }, 'denied', 'model_key_refused'],
    [{ kind: 'status', status: 403 }, 'denied', 'model_key_refused'],
  ]
  for (const [fault, kind, code] of faults) {
    it(`fails as ${kind} ${code} for ${JSON.stringify(fault)}, and is not repeated here`, async () => {
      await setFault(fault)

      await assert.rejects(model.turn(request, never), { kind, code })
      assert.equal((await model.turn(request, never)).stopReason, 'tool_use')
    })
  }

  it('fails as unavailable when its stream breaks off', async () => {
    await setFault({ kind: 'cut_stream' })

    await assert.rejects(model.turn(request, never), { kind: 'unavailable' })
  })

  it('says how long Claude asks to wait', async () => {
    await setFault({ kind: 'status', status: 429, retryAfterSeconds: 7 })

    await assert.rejects(model.turn(request, never), { details: { retryAfterMs: 7_000 } })
  })

  it('is never asked for when the model has no price', async () => {
    const unpriced = { ...request, model: 'claude-unpriced' }

    await assert.rejects(model.turn(unpriced, never), { kind: 'invalid', code: 'model_unpriced' })
    const { values } = await metrics.claudeRequests.get()
    assert.ok(values.every(({ value }) => value === 0))
  })

  it('is refused in live mode when a stand-in answers, also with an error', async () => {
    const live = { CLAUDE_MODE: 'live', CLAUDE_URL: claudeUrl, ANTHROPIC_API_KEY: 'k' } as const
    const model = createModel(live, prices, metrics)

    const refusal = { kind: 'denied', code: 'model_is_standin' }
    await assert.rejects(model.turn(request, never), refusal)
    await setFault({ kind: 'status', status: 529 })
    await assert.rejects(model.turn(request, never), refusal)
    const { values } = await metrics.claudeTokens.get()
    assert.ok(values.every(({ value }) => value === 0))
  })

  it('ends at its deadline, also when the stream stalls in the middle', async () => {
    await setFault({ kind: 'stall' })
    const startedAt = performance.now()

    await assert.rejects(model.turn(request, AbortSignal.timeout(100)), {
      kind: 'unavailable',
      code: 'model_deadline',
    })
    assert.ok(performance.now() - startedAt < 5_000)
  })

  it('fails as unavailable when nobody listens, and after many failures without trying', async () => {
    const CLAUDE_URL = `http://127.0.0.1:${await freePort()}`
    const away = createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL }, prices, metrics)
    const codes: string[] = []
    for (let i = 0; i < 10; i++) {
      await away.turn(request, never).catch((error: { code: string }) => codes.push(error.code))
    }

    assert.deepEqual([...new Set(codes)], ['model_unreachable', 'circuit_open'])
  })
})

describe('a refusal of Claude', () => {
  const limitReached = 'enforced_spend_limit_reached'
  let answer: { retryAfter?: string; errorCode?: string }
  const app = fastify({ forceCloseConnections: true })
  let model: Model

  before(async () => {
    app.post('/v1/messages', async (_request, reply) => {
      const { retryAfter, errorCode } = answer
      if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
      const details = errorCode === undefined ? null : { error_code: errorCode }
      const error = { type: 'rate_limit_error', message: 'No', details }
      return reply.code(429).send({ type: 'error', error })
    })
    const CLAUDE_URL = await app.listen({ host: '127.0.0.1', port: 0 })
    model = createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL }, prices, createMetrics('test'))
  })
  after(() => app.close())

  it('for the spend limit is final, and never opens the breaker', async () => {
    answer = { errorCode: limitReached }

    for (let i = 0; i < 10; i++) {
      await assert.rejects(model.turn(request, never), {
        kind: 'rejected',
        code: 'model_spend_limit',
      })
    }
  })

  for (const retryAfter of ['Wed, 21 Oct 2026 07:28:00 GMT', '-1', 'soon']) {
    it(`that asks to wait for "${retryAfter}" leaves the wait to the backoff`, async () => {
      answer = { retryAfter }

      await assert.rejects(model.turn(request, never), { details: { retryAfterMs: 0 } })
    })
  }
})

describe('the connection to Claude', () => {
  const names = [
    'ANTHROPIC_API_KEY',
    'ANTHROPIC_AUTH_TOKEN',
    'ANTHROPIC_BASE_URL',
    'ANTHROPIC_CUSTOM_HEADERS',
  ] as const
  const saved = names.map((name) => [name, process.env[name]] as const)
  afterEach(() => {
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })

  it('in live mode goes to its own address with its own key, whatever the environment says', async (t) => {
    process.env.ANTHROPIC_BASE_URL = 'http://127.0.0.1:9'
    process.env.ANTHROPIC_AUTH_TOKEN = 'other-token'
    process.env.ANTHROPIC_CUSTOM_HEADERS = 'authorization: Bearer other\nx-api-key: other-key'
    const seen: { url: string; headers: Headers }[] = []
    t.mock.method(globalThis, 'fetch', async (url: string, init: RequestInit) => {
      seen.push({ url: String(url), headers: new Headers(init.headers) })
      return Response.json({ type: 'error', error: { type: 'x', message: 'No' } }, { status: 400 })
    })
    const live = { CLAUDE_MODE: 'live', ANTHROPIC_API_KEY: 'own-key' } as const
    const gateway = { ...live, CLAUDE_URL: 'https://gateway.example' }

    for (const config of [live, gateway]) {
      const model = createModel(config, prices, createMetrics('test'))
      await assert.rejects(model.turn(request, never), { code: 'model_request_refused' })
    }

    assert.deepEqual(
      seen.map(({ url }) => new URL(url).origin),
      ['https://api.anthropic.com', 'https://gateway.example'],
    )
    for (const { headers } of seen) {
      assert.equal(headers.get('authorization'), 'Bearer own-key')
      assert.doesNotMatch(JSON.stringify([...headers]), /other/)
    }
  })

  it('to a stand-in never carries the real key of the environment', async () => {
    process.env.ANTHROPIC_API_KEY = 'sk-real-key'
    const app = fastify({ forceCloseConnections: true })
    const seen: string[] = []
    app.post('/v1/messages', async ({ headers }, reply) => {
      seen.push(JSON.stringify(headers))
      return reply.code(400).send({ type: 'error', error: { type: 'invalid_request_error' } })
    })
    const CLAUDE_URL = await app.listen({ host: '127.0.0.1', port: 0 })
    const model = createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL }, prices, createMetrics('test'))

    await assert.rejects(model.turn(request, never), { code: 'model_request_refused' })
    await app.close()

    assert.equal(seen.length, 1)
    assert.doesNotMatch(seen.join(), /sk-real-key/)
    assert.match(seen.join(), /offline-standin/)
  })

  it('needs the setting of its mode and never falls back to the other one', () => {
    process.env.ANTHROPIC_API_KEY = 'sk-real-key'
    const metrics = createMetrics('test')
    const standin = { CLAUDE_URL: 'http://127.0.0.1:1' }
    const live = { ANTHROPIC_API_KEY: 'sk-other-key' }

    assert.throws(() => createModel({ CLAUDE_MODE: 'live', ...standin }, prices, metrics), /_KEY/)
    assert.throws(() => createModel({ CLAUDE_MODE: 'standin', ...live }, prices, metrics), /_URL/)
    assert.equal(createModel({ CLAUDE_MODE: 'live', ...live }, prices, metrics).mode, 'live')
  })
})

describe('a schema for the model', () => {
  it('closes objects and says limits in words, because the API takes none', () => {
    const text = JSON.stringify(toModelSchema(orderSchema))

    assert.match(text, /"additionalProperties":false/)
    assert.doesNotMatch(text, /"(minimum|maximum|pattern)":/)
    assert.match(text, /maximum: 5/)
  })
})
