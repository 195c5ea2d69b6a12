import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { FaultQueue } from '../../../standins/claude/faults.ts'
import type { Harness } from './support.ts'
import { startStandin, textOf, toolNamed, until } from './support.ts'

const model = 'claude-opus-5-5'
const format: Anthropic.JSONOutputFormat = {
  type: 'json_schema',
  schema: {
    type: 'object',
    properties: { ok: { type: 'boolean' } },
    required: ['ok'],
    additionalProperties: false,
  },
}
const planTools = [toolNamed('get_order_facts'), toolNamed('get_stock_facts')]

describe('a scripted fault', () => {
  let standin: Harness
  before(async () => {
    standin = await startStandin()
  })
  after(() => standin[Symbol.asyncDispose]())
  afterEach(() => fetch(`${standin.url}/faults`, { method: 'DELETE' }))

  const params = {
    model,
    max_tokens: 1000,
    messages: [
      { role: 'user', content: '<task>{"orderId":"o-1"}</task>' },
    ] as Anthropic.MessageParam[],
    output_config: { format },
  }
  const create = (changed: object = {}, options: Anthropic.RequestOptions = {}) =>
    standin.client.messages.create(
      { ...params, ...changed } as Anthropic.MessageCreateParamsNonStreaming,
      options,
    )
  const stream = (signal?: AbortSignal) =>
    standin.client.messages.stream(params, { signal }).finalMessage()

  it('of status 429 tells when to come back, and is over after its times', async () => {
    await standin.script({ kind: 'status', status: 429, retryAfterSeconds: 7, times: 2 })

    for (let i = 0; i < 2; i++) {
      await assert.rejects(create(), (error) => {
        assert.ok(error instanceof Anthropic.RateLimitError)
        assert.equal(error.type, 'rate_limit_error')
        assert.equal(error.headers.get('retry-after'), '7')
        return true
      })
    }
    assert.equal((await create()).stop_reason, 'end_turn')
  })

  it('of status 529 and 500 has the vendor’s types', async () => {
    await standin.script({ kind: 'status', status: 529 }, { kind: 'status', status: 500 })

    await assert.rejects(create(), (error) => error instanceof Anthropic.OverloadedError)
    await assert.rejects(create(), { status: 500, type: 'api_error' })
  })

  it('is survived by the SDK’s own retries', async () => {
    await standin.script({ kind: 'status', status: 429, retryAfterSeconds: 0 })

    assert.equal((await create({}, { maxRetries: 1 })).stop_reason, 'end_turn')
  })

  it('cut_stream ends the connection in the middle, streamed or whole', async () => {
    await standin.script({ kind: 'cut_stream', times: 2 })

    await assert.rejects(stream(), Error)
    await assert.rejects(create(), Error)
    const { entries } = await standin.journal()
    assert.deepEqual(
      entries.slice(-2).map(({ outcome }) => outcome),
      ['cut', 'cut'],
    )
  })

  it('stream_error arrives as an error without a status', async () => {
    await standin.script({ kind: 'stream_error' })

    assert.equal((await create()).stop_reason, 'end_turn') // not streamed: the fault waits
    await assert.rejects(stream(), { status: undefined, type: 'overloaded_error' })
  })

  it('stall keeps the client waiting until it gives up, before or after the headers', async () => {
    for (const start of [stream, (signal: AbortSignal) => create({}, { signal })]) {
      await fetch(`${standin.url}/journal`, { method: 'DELETE' })
      await standin.script({ kind: 'stall' })
      const patience = new AbortController()
      const refused = assert.rejects(start(patience.signal), Anthropic.APIUserAbortError)
      await until(async () => (await standin.journal()).entries.at(-1)?.fault === 'stall')
      patience.abort()
      await refused
      await until(async () => (await standin.journal()).inFlight === 0)

      assert.equal((await standin.journal()).entries.at(-1)?.outcome, 'client_gone')
    }
  })

  it('stall does not keep the server from closing', async () => {
    const stalling = await startStandin({ faults: [{ kind: 'stall' }] })
    const refused = assert.rejects(
      stalling.client.messages.create({ ...params, output_config: {} }),
      Anthropic.APIConnectionError,
    )
    await until(async () => (await stalling.journal()).inFlight === 1)

    await stalling[Symbol.asyncDispose]()
    await refused
  })

  it('max_tokens cuts a verdict in half and a tool call down to nothing', async () => {
    await standin.script({ kind: 'max_tokens', times: 2 })
    const verdict = await create()
    const call = await create({ tools: planTools })

    assert.equal(verdict.stop_reason, 'max_tokens')
    assert.throws(() => JSON.parse(textOf(verdict)))
    assert.equal(call.stop_reason, 'max_tokens')
    const last = call.content.at(-1)
    assert.deepEqual(last?.type === 'tool_use' ? last.input : undefined, {})
  })

  it('refusal answers nothing and says so', async () => {
    await standin.script({ kind: 'refusal' })
    const reply = await stream()

    assert.deepEqual([reply.content, reply.stop_reason], [[], 'refusal'])
    assert.equal(reply.stop_details?.type, 'refusal')
  })

  it('bad_verdict and not_json wait for a verdict to spoil', async () => {
    await standin.script({ kind: 'bad_verdict' }, { kind: 'not_json' })
    const call = await create({ tools: planTools })
    const bad = await create()
    const prose = await create()

    assert.equal(call.stop_reason, 'tool_use')
    assert.deepEqual(JSON.parse(textOf(bad)), { verdict: 'standin_bad_verdict', unexpected: true })
    assert.equal(bad.stop_reason, 'end_turn')
    assert.throws(() => JSON.parse(textOf(prose)))
  })

  it('strikes only the model, tools and turn it names', async () => {
    await standin.script(
      { kind: 'refusal', model: 'haiku' },
      { kind: 'refusal', model, tools: ['get_stock_facts'] },
      { kind: 'refusal', turn: 2 },
    )
    const stopReasons = [
      await create(),
      await create({ model: 'claude-haiku-5-5' }),
      await create({ tools: planTools }),
      await create({
        messages: [...params.messages, { role: 'assistant', content: 'so' }, ...params.messages],
      }),
      await create(),
    ].map(({ stop_reason }) => stop_reason)

    assert.deepEqual(stopReasons, ['end_turn', 'refusal', 'refusal', 'refusal', 'end_turn'])
  })

  it('that is malformed, or one too many, is refused', async () => {
    const post = async (body: unknown) =>
      fetch(`${standin.url}/faults`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })

    assert.equal((await post({ faults: [{ kind: 'flood' }] })).status, 400)
    assert.equal((await post({ faults: [{ kind: 'status' }] })).status, 400)
    assert.equal((await post({ faults: Array(100).fill({ kind: 'stall' }) })).status, 200)
    assert.equal((await post({ faults: [{ kind: 'stall' }] })).status, 400)
    const { faults } = (await (await fetch(`${standin.url}/faults`)).json()) as {
      faults: unknown[]
    }
    assert.equal(faults.length, 100)
  })
})

describe('a fault with a chance', () => {
  const strikes = (seed: number) => {
    const queue = new FaultQueue()
    queue.seed(seed)
    queue.add([{ kind: 'refusal', chance: 0.3, times: 1000 }])
    const target = {
      model,
      line: 'opus',
      tools: new Set<string>(),
      turn: 1,
      final: true,
      stream: false,
    }
    return Array.from({ length: 200 }, () => queue.take(target) !== null)
  }

  it('strikes in the same places for the same seed', () => {
    assert.deepEqual(strikes(7), strikes(7))
    assert.notDeepEqual(strikes(7), strikes(8))
  })

  it('strikes about as often as it says', () => {
    const count = strikes(7).filter(Boolean).length

    assert.ok(count > 35 && count < 85, `${count} of 200`)
  })
})
