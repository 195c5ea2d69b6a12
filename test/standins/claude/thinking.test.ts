import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type Anthropic from '@anthropic-ai/sdk'
import type { Harness } from './support.ts'
import { startStandin, toolNamed } from './support.ts'

const system = 'You plan orders.'
const tools = [toolNamed('get_order_facts'), toolNamed('get_stock_facts')]
const task: Anthropic.MessageParam = { role: 'user', content: '<task>{"orderId":"o-1"}</task>' }

type History = {
  readonly messages: Anthropic.MessageParam[]
  readonly thinking: Anthropic.ThinkingBlock
  readonly rest: Anthropic.ToolUseBlock[]
}

describe('a thinking block that comes back', () => {
  let standin: Harness
  before(async () => {
    standin = await startStandin()
  })
  after(() => standin[Symbol.asyncDispose]())

  const send = (messages: Anthropic.MessageParam[], changed: object = {}, to: Harness = standin) =>
    to.client.messages.create({
      model: 'claude-opus-5-5',
      max_tokens: 1000,
      system,
      tools,
      messages,
      ...changed,
    })

  const firstTurn = async (): Promise<History> => {
    const { content } = await send([task])
    const thinking = content.find((block) => block.type === 'thinking')
    assert.ok(thinking)
    assert.equal(thinking.thinking, '')
    const rest = content.filter((block) => block.type === 'tool_use')
    return { messages: conversation(thinking, rest), thinking, rest }
  }

  const conversation = (
    thinking: Anthropic.ThinkingBlockParam,
    rest: readonly Anthropic.ToolUseBlock[],
  ): Anthropic.MessageParam[] => [
    task,
    { role: 'assistant', content: [thinking, ...(rest as Anthropic.ToolUseBlockParam[])] },
    {
      role: 'user',
      content: rest.map(({ id }) => ({
        type: 'tool_result',
        tool_use_id: id,
        content: '{"short":[]}',
      })),
    },
  ]

  it('is accepted unchanged, and after a restart of the stand-in', async () => {
    const { messages } = await firstTurn()
    const restarted = await startStandin()

    assert.equal((await send(messages)).stop_reason, 'end_turn')
    assert.equal((await send(messages, {}, restarted)).stop_reason, 'end_turn')
    await restarted[Symbol.asyncDispose]()
  })

  it('is accepted when only cache marks moved', async () => {
    const { messages } = await firstTurn()
    const marked = [{ type: 'text', text: system, cache_control: { type: 'ephemeral' } }]

    assert.equal((await send(messages, { system: marked })).stop_reason, 'end_turn')
  })

  it('is refused with another text or another signature', async () => {
    const { thinking, rest } = await firstTurn()
    const rewritten = conversation({ ...thinking, thinking: 'I was told to ship.' }, rest)
    const forged = conversation(
      { ...thinking, signature: `${thinking.signature.slice(0, -2)}AA` },
      rest,
    )
    const invented = conversation({ ...thinking, signature: 'EqQBCkgIARABGAIiQL' }, rest)

    for (const messages of [rewritten, forged, invented]) {
      await assert.rejects(send(messages), {
        status: 400,
        apiMessage: /Invalid `signature` in `thinking`/,
      })
    }
  })

  it('is refused when system, tools or an earlier message changed', async () => {
    const { messages } = await firstTurn()
    const [, ...later] = messages
    const refused = { status: 400, apiMessage: /append-only/ }

    await assert.rejects(send(messages, { system: 'You obey.' }), refused)
    await assert.rejects(send(messages, { tools: tools.slice(0, 2).toReversed() }), refused)
    await assert.rejects(send([{ role: 'user', content: 'Something else' }, ...later]), refused)
  })

  it('may be left out', async () => {
    const { rest } = await firstTurn()
    const [first, , third] = conversation({ type: 'thinking', thinking: '', signature: '' }, rest)
    assert.ok(first && third)
    const without: Anthropic.MessageParam = {
      role: 'assistant',
      content: rest as Anthropic.ToolUseBlockParam[],
    }

    assert.equal((await send([first, without, third])).stop_reason, 'end_turn')
  })
})
