import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type Anthropic from '@anthropic-ai/sdk'
import { startStandin } from './support.ts'

const ephemeral = { type: 'ephemeral' } as const
const hour = { type: 'ephemeral', ttl: '1h' } as const
const minuteMs = 60_000

/** Text that counts about this many tokens. */
const textOf = (tokens: number, letter = 'x') => letter.repeat(Math.ceil(tokens * 3.2))

/** A stand-in with a clock to turn, and a request that returns its usage as [input, written, read]. */
async function world() {
  const clock = { now: 0 }
  const standin = await startStandin({ now: () => clock.now })
  const usage = async (params: object): Promise<Anthropic.Usage> => {
    const message = await standin.client.messages.create({
      model: 'claude-opus-5-5',
      max_tokens: 100,
      messages: [{ role: 'user', content: 'Hello' }],
      ...params,
    })
    return message.usage
  }
  const ask = async (params: object) => {
    const used = await usage(params)
    return [
      used.input_tokens,
      used.cache_creation_input_tokens ?? 0,
      used.cache_read_input_tokens ?? 0,
    ] as const
  }
  return { clock, ask, usage, standin, [Symbol.asyncDispose]: () => standin[Symbol.asyncDispose]() }
}

describe('the prompt cache', () => {
  const system = [{ type: 'text', text: textOf(1_000), cache_control: ephemeral }]

  it('writes a marked prefix once and reads it afterwards', async () => {
    await using w = await world()
    const [input, written, read] = await w.ask({ system })
    const again = await w.ask({ system })

    assert.ok(written > 1_000 && written < 1_030, `${written}`)
    assert.ok(input > 0 && input < 30)
    assert.equal(read, 0)
    assert.deepEqual(again, [input, 0, written])
  })

  it('counts the same total whether cached or not', async () => {
    await using w = await world()
    const plain = await w.ask({ system: textOf(1_000) })
    const cached = await w.ask({ system })

    assert.deepEqual(plain.slice(1), [0, 0])
    assert.equal(cached[0] + cached[1], plain[0])
  })

  it('does not cache a prefix below 512 tokens', async () => {
    await using w = await world()
    const short = [{ type: 'text', text: textOf(450), cache_control: ephemeral }]

    assert.deepEqual((await w.ask({ system: short })).slice(1), [0, 0])
    assert.deepEqual((await w.ask({ system: short })).slice(1), [0, 0])
  })

  it('grows with the conversation under one top-level mark', async () => {
    await using w = await world()
    const messages: object[] = [{ role: 'user', content: textOf(600) }]
    const first = await w.ask({ cache_control: ephemeral, messages })
    messages.push(
      { role: 'assistant', content: 'Yes?' },
      { role: 'user', content: textOf(100, 'y') },
    )
    const second = await w.ask({ cache_control: ephemeral, messages })

    assert.deepEqual([first[0], first[2]], [0, 0])
    assert.deepEqual([second[0], second[2]], [0, first[1]])
    assert.ok(second[1] > 100 && second[1] < 150, `${second[1]}`)
  })

  it('misses when the prefix, the model, the key or the output format differs', async () => {
    await using w = await world()
    await w.ask({ system })
    const format = {
      type: 'json_schema',
      schema: { type: 'object', properties: {}, additionalProperties: false },
    }

    const others = [
      { system: [{ ...system[0], text: textOf(1_000, 'z') }] },
      { system, tools: [{ name: 'a', input_schema: { type: 'object' } }] },
      { system, model: 'claude-sonnet-5-5' },
      { system, output_config: { format } },
    ]
    for (const params of others) assert.equal((await w.ask(params))[2], 0)
    const stranger = w.standin.client.withOptions({ apiKey: 'another' })
    const { usage } = await stranger.messages.create({
      model: 'claude-opus-5-5',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'Hello' }],
      system: system as Anthropic.TextBlockParam[],
    })
    assert.equal(usage.cache_read_input_tokens, 0)
  })

  it('forgets after five minutes without use, and a read renews', async () => {
    await using w = await world()
    const [, written] = await w.ask({ system })
    w.clock.now += 4 * minuteMs
    assert.equal((await w.ask({ system }))[2], written)
    w.clock.now += 4 * minuteMs
    assert.equal((await w.ask({ system }))[2], written)
    w.clock.now += 5 * minuteMs

    assert.deepEqual((await w.ask({ system })).slice(1), [written, 0])
  })

  it('keeps an hour what is marked so, and tells both kinds of writing apart', async () => {
    await using w = await world()
    const both = {
      system: [{ type: 'text', text: textOf(1_000), cache_control: hour }],
      messages: [
        {
          role: 'user',
          content: [{ type: 'text', text: textOf(200, 'y'), cache_control: ephemeral }],
        },
      ],
    }
    const first = await w.usage(both)
    const created = first.cache_creation
    assert.ok(created)
    assert.ok(created.ephemeral_1h_input_tokens > 1_000)
    assert.ok(created.ephemeral_5m_input_tokens > 200 && created.ephemeral_5m_input_tokens < 230)
    assert.equal(
      first.cache_creation_input_tokens,
      created.ephemeral_1h_input_tokens + created.ephemeral_5m_input_tokens,
    )

    w.clock.now += 59 * minuteMs
    const later = await w.usage(both)
    assert.equal(later.cache_read_input_tokens, created.ephemeral_1h_input_tokens)
    assert.equal(later.cache_creation_input_tokens, created.ephemeral_5m_input_tokens)
  })

  it('looks back twenty blocks from a mark and no further', async () => {
    await using w = await world()
    const blocks = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ type: 'text', text: textOf(100, 'abc'[i % 3]) }))
    const ask = (count: number) =>
      w.ask({ cache_control: ephemeral, messages: [{ role: 'user', content: blocks(count) }] })
    const [, written] = await ask(10)

    assert.equal((await ask(29))[2], written)
    assert.equal((await ask(60))[2], 0)
  })

  it('is warmed by a request of zero tokens, which answers nothing', async () => {
    await using w = await world()
    const { standin } = w
    const warm = await standin.client.messages.create({
      model: 'claude-opus-5-5',
      max_tokens: 0,
      messages: [{ role: 'user', content: 'warm' }],
      system: system as Anthropic.TextBlockParam[],
    })
    const [, , read] = await w.ask({ system })

    assert.deepEqual(
      [warm.content, warm.stop_reason, warm.usage.output_tokens],
      [[], 'max_tokens', 0],
    )
    assert.equal(read, warm.usage.cache_creation_input_tokens)
  })
})
