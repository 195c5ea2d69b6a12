import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod'
import { z } from 'zod'
import { createClaudeStandin } from '../../../standins/claude/app.ts'
import type { Harness } from './support.ts'
import { formatOf, startStandin, textOf, toolNamed, until } from './support.ts'

const model = 'claude-opus-5-5'
const hello: Anthropic.MessageParam[] = [{ role: 'user', content: 'Hello' }]
const decideTask: Anthropic.MessageParam[] = [
  { role: 'user', content: '<task>{"orderId":"o-1","round":1}</task>' },
]
const decideTools = ['get_order_facts', 'get_proposals', 'get_reservation'].map(toolNamed)

let standin: Harness
before(async () => {
  standin = await startStandin()
})
after(() => standin[Symbol.asyncDispose]())

const post = (path: string, headers: Record<string, string>, body: string | object = {}) =>
  fetch(`${standin.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2026-10-21', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

describe('an answer of the stand-in', () => {
  it('is marked as one in ids, headers and usage', async () => {
    const { data, response, request_id } = await standin.client.messages
      .create({ model, max_tokens: 100, messages: hello })
      .withResponse()

    assert.match(data.id, /^msg_standin_/)
    assert.match(request_id ?? '', /^req_standin_/)
    assert.equal(response.headers.get('x-claude-stand-in'), 'true')
    assert.equal(response.headers.get('anthropic-organization-id'), 'offline-stand-in')
    assert.equal(data.usage.inference_geo, 'offline')
    assert.equal(data.usage.service_tier, 'standard')
  })

  it('carries rate-limit headers that count down', async () => {
    const limited = await startStandin({ rateLimits: { requests: 1 } })
    const ask = () => limited.client.messages.create({ model, max_tokens: 9, messages: hello })
    const { response } = await ask().withResponse()

    assert.equal(response.headers.get('anthropic-ratelimit-requests-limit'), '1')
    assert.equal(response.headers.get('anthropic-ratelimit-requests-remaining'), '0')
    assert.ok(Date.parse(response.headers.get('anthropic-ratelimit-requests-reset') ?? '') > 0)
    await assert.rejects(ask(), (error) => {
      assert.ok(error instanceof Anthropic.RateLimitError)
      assert.ok(Number(error.headers?.get('retry-after')) >= 1)
      return true
    })
    await limited[Symbol.asyncDispose]()
  })

  it('has the same content streamed and whole', async () => {
    const params = { model, max_tokens: 1000, messages: decideTask, tools: decideTools }
    const whole = await standin.client.messages.create(params)
    const streamed = await standin.client.messages.stream(params).finalMessage()

    const shape = ({ content, stop_reason, usage }: Anthropic.Message) => ({
      content: content.map((block) =>
        block.type === 'tool_use' ? [block.name, block.input] : block.type,
      ),
      stop_reason,
      usage,
    })
    assert.deepEqual(shape(streamed), shape(whole))
    assert.deepEqual(shape(whole).content[0], 'thinking')
    assert.ok(whole.usage.output_tokens > 0)
    assert.ok((whole.usage.output_tokens_details?.thinking_tokens ?? 0) > 0)
  })

  it('streams the real sequence of events', async () => {
    const response = await post(
      '/v1/messages?beta=true',
      { 'x-api-key': 'any' },
      { model, max_tokens: 1000, messages: decideTask, tools: decideTools.slice(1), stream: true },
    )
    const events = (await response.text())
      .split('\n\n')
      .filter((text) => text !== '')
      .map((text) => {
        const [event = '', data = ''] = text.split('\n')
        const parsed = JSON.parse(data.replace('data: ', ''))
        assert.equal(event, `event: ${parsed.type}`)
        return parsed.delta?.type ?? parsed.content_block?.type ?? parsed.type
      })

    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
    assert.deepEqual(events, [
      'message_start',
      'ping',
      ...['thinking', 'signature_delta', 'content_block_stop'],
      ...['tool_use', 'input_json_delta', 'input_json_delta', 'content_block_stop'],
      ...['tool_use', 'input_json_delta', 'input_json_delta', 'content_block_stop'],
      'message_delta',
      'message_stop',
    ])
  })

  it('streams text in pieces', async () => {
    const pieces: string[] = []
    const stream = standin.client.messages
      .stream({
        model,
        max_tokens: 1000,
        messages: hello,
        output_config: { format: formatOf(z.strictObject({ text: z.literal('x'.repeat(900)) })) },
      })
      .on('text', (piece) => pieces.push(piece))
    const text = textOf(await stream.finalMessage())

    assert.ok(pieces.length > 3)
    assert.equal(pieces.join(''), text)
    assert.equal(JSON.parse(text).text.length, 900)
  })

  it('shows what it thought only when the request asks for a summary', async () => {
    const ask = async (thinking: Anthropic.ThinkingConfigParam) => {
      const params = { model, max_tokens: 1000, messages: decideTask, tools: decideTools, thinking }
      const [block] = (await standin.client.messages.stream(params).finalMessage()).content
      return block?.type === 'thinking' ? block.thinking : assert.fail('no thinking')
    }

    assert.equal(await ask({ type: 'adaptive' }), '')
    assert.match(await ask({ type: 'adaptive', display: 'summarized' }), /proposal/)
  })

  it('has no thinking block where thinking is off', async () => {
    const haiku = await standin.client.messages.create({
      model: 'claude-haiku-5-5',
      max_tokens: 1000,
      messages: decideTask,
      tools: decideTools,
      thinking: { type: 'disabled' },
    })

    assert.deepEqual(new Set(haiku.content.map(({ type }) => type)), new Set(['tool_use']))
  })

  it('obeys a forced tool choice on Haiku, without thinking, and tool_choice none', async () => {
    const ask = (tool_choice: Anthropic.ToolChoice) =>
      standin.client.messages.create({
        model: 'claude-haiku-5-5',
        max_tokens: 1000,
        messages: decideTask,
        tools: [...decideTools, toolNamed('other')],
        tool_choice,
      })
    const names = ({ content }: Anthropic.Message) =>
      content.map((block) => (block.type === 'tool_use' ? block.name : block.type))

    assert.deepEqual(names(await ask({ type: 'tool', name: 'get_proposals' })), ['get_proposals'])
    assert.deepEqual(names(await ask({ type: 'tool', name: 'other' })), ['other'])
    assert.deepEqual(names(await ask({ type: 'none' })), ['text'])
  })

  it('stops with max_tokens when it does not fit', async () => {
    const reply = await standin.client.messages.create({ model, max_tokens: 5, messages: hello })

    assert.equal(reply.stop_reason, 'max_tokens')
    assert.ok(textOf(reply).length < 60)
  })
})

describe('the SDK helpers', () => {
  it('get a parsed verdict from messages.parse', async () => {
    const message = await standin.client.messages.parse({
      model,
      max_tokens: 1000,
      messages: hello,
      output_config: { format: formatOf(z.strictObject({ ok: z.boolean() })) },
    })

    assert.deepEqual(JSON.parse(textOf(message)), { ok: false })
  })

  it('run their own tool loop: threads are refused and the conversation comes in full', async () => {
    const seen: string[] = []
    const tool = (name: string) =>
      betaZodTool({
        name,
        description: name,
        inputSchema: z.object({ orderId: z.string() }),
        run: ({ orderId }) => {
          seen.push(`${name} ${orderId}`)
          return '{}'
        },
      })
    const final = await standin.client.beta.messages.toolRunner({
      model,
      max_tokens: 1000,
      messages: [{ role: 'user', content: '<task>{"orderId":"o-1","round":1}</task>' }],
      tools: [tool('get_order_facts'), tool('get_stock_facts')],
    })

    assert.deepEqual(seen, ['get_order_facts o-1', 'get_stock_facts o-1'])
    assert.equal(final.stop_reason, 'end_turn')
    const { entries } = await standin.journal()
    assert.ok(entries.some(({ error }) => error?.message.startsWith('thread:')))
  })

  it('count tokens as a request would be charged', async () => {
    const params = { model, messages: decideTask, tools: decideTools, system: 'x'.repeat(3_200) }
    const counted = await standin.client.messages.countTokens(params)
    const charged = await standin.client.messages.create({ ...params, max_tokens: 100 })

    assert.equal(counted.input_tokens, charged.usage.input_tokens)
    assert.ok(counted.input_tokens > 1_000)
  })

  it('list and retrieve the models', async () => {
    const ids: string[] = []
    for await (const { id } of standin.client.models.list()) ids.push(id)
    const opus = await standin.client.models.retrieve(model)

    assert.deepEqual(ids, ['claude-haiku-5-5', 'claude-sonnet-5-5', 'claude-opus-5-5'])
    assert.deepEqual([opus.line, opus.lifecycle, opus.max_tokens], ['opus', 'active', 128_000])
    assert.equal(opus.capabilities?.thinking.types.disabled.supported, false)
    await assert.rejects(standin.client.models.retrieve('claude-none'), Anthropic.NotFoundError)
  })
})

describe('a caller', () => {
  const body = { model, max_tokens: 10, messages: hello }

  it('may identify with a bearer token or an x-api-key', async () => {
    assert.equal((await post('/v1/messages', { authorization: 'Bearer any' }, body)).status, 200)
    const old = { 'x-api-key': 'any', 'anthropic-version': '2023-06-01' }
    assert.equal((await post('/v1/messages', old, body)).status, 200)
  })

  it('without either gets 401 in the vendor’s shape', async () => {
    const response = await post('/v1/messages', {}, body)
    const answer = (await response.json()) as Record<string, unknown>

    assert.equal(response.status, 401)
    assert.equal(answer.type, 'error')
    assert.equal((answer.error as { type: string }).type, 'authentication_error')
    assert.equal(answer.request_id, response.headers.get('request-id'))
  })

  it('must send a known anthropic-version', async () => {
    const response = await post(
      '/v1/messages',
      { 'x-api-key': 'k', 'anthropic-version': '1999-01-01' },
      body,
    )

    assert.equal(response.status, 400)
  })

  it('gets the vendor’s errors for a wrong path, broken JSON and a body too big', async () => {
    const small = await startStandin({ bodyBytesMax: 500 })

    assert.equal((await post('/v1/nothing', { 'x-api-key': 'k' })).status, 404)
    assert.equal((await post('/v1/messages', { 'x-api-key': 'k' }, '{"model":')).status, 400)
    await assert.rejects(small.client.messages.create({ ...body, system: 'x'.repeat(500) }), {
      status: 413,
      type: 'request_too_large',
    })
    await small[Symbol.asyncDispose]()
  })
})

describe('the journal', () => {
  it('keeps the last 200 requests and never a key', async () => {
    const fresh = await startStandin()
    const client = new Anthropic({ apiKey: 'sk-very-secret', baseURL: fresh.url, maxRetries: 0 })
    const ask = () => client.messages.create({ model, max_tokens: 10, messages: hello })
    for (let i = 0; i < 205; i++) await ask()
    const text = JSON.stringify(await fresh.journal())
    const { entries } = JSON.parse(text)

    assert.equal(entries.length, 200)
    assert.doesNotMatch(text, /sk-very-secret/)
    assert.deepEqual(
      [entries[0].auth, entries[0].policy, entries[0].stopReason, entries[0].outcome],
      ['bearer', 'plain', 'max_tokens', 'answered'],
    )
    assert.deepEqual(entries[0].request.messages, hello)
    await fresh[Symbol.asyncDispose]()
  })

  it('leaves the access tokens of MCP servers out', async () => {
    await post(
      '/v1/messages?beta=true',
      { 'x-api-key': 'k' },
      { model, max_tokens: 10, messages: hello, mcp_servers: [{ authorization_token: 'hush' }] },
    )

    assert.doesNotMatch(JSON.stringify(await standin.journal()), /hush/)
  })
})

describe('the test control', () => {
  it('answers loopback callers only', async () => {
    const app = createClaudeStandin()
    for (const url of ['/journal', '/faults']) {
      const far = await app.inject({ url, remoteAddress: '10.0.0.9' })
      const near = await app.inject({ url, remoteAddress: '::1' })

      assert.deepEqual([far.statusCode, near.statusCode], [403, 200])
    }
    await app.close()
  })
})

describe('closing', () => {
  it('does not wait for a connection that never carried a request', async () => {
    const app = createClaudeStandin()
    const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
    const accepted = once(app.server, 'connection')
    const socket = connect(Number(url.port), url.hostname)
    await accepted
    const ended = once(socket.resume(), 'close')

    await app.close()
    await ended
  })

  it('lets an answer in flight finish', async () => {
    const slow = await startStandin({ latencyMs: { opus: 100 } })
    const reply = slow.client.messages.create({ model, max_tokens: 100, messages: hello })
    await until(async () => (await slow.journal()).inFlight === 1)

    await slow[Symbol.asyncDispose]()
    assert.equal((await reply).stop_reason, 'end_turn')
  })
})

describe('the probes', () => {
  it('answer without a key', async () => {
    for (const path of ['/healthz', '/readyz']) {
      assert.equal((await fetch(`${standin.url}${path}`)).status, 200)
    }
  })
})
