import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { createClaudeStandin } from '../../../standins/claude/app.ts'
import { startStandin, until } from './support.ts'

const params = (model: string): Anthropic.MessageCreateParamsNonStreaming => ({
  model,
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Hello' }],
})

describe('a latency', () => {
  it('is taken by the model line it was set for, and by no other', async () => {
    await using standin = await startStandin({ latencyMs: { sonnet: 80, opus: 60_000 } })
    const timed = async (model: string) => {
      const startedAt = performance.now()
      await standin.client.messages.create(params(model))
      return performance.now() - startedAt
    }

    assert.ok((await timed('claude-sonnet-5-5')) >= 79)
    assert.ok((await timed('claude-haiku-5-5')) < 30_000)
  })

  it('lets a stream begin before it ends', async () => {
    await using standin = await startStandin({ latencyMs: { opus: 300 } })
    const startedAt = performance.now()
    const at: Record<string, number> = {}
    const stream = standin.client.messages.stream(params('claude-opus-5-5'))
    for await (const event of stream) at[event.type] ??= performance.now() - startedAt

    assert.ok((at.message_start ?? 0) >= 149)
    assert.ok((at.message_stop ?? 0) >= 299)
    assert.ok((at.message_stop ?? 0) - (at.message_start ?? 0) >= 50)
  })

  for (const stream of [false, true]) {
    it(`ends when the client leaves (${stream ? 'streamed' : 'whole'})`, async () => {
      await using standin = await startStandin({ latencyMs: { opus: 60_000 } })
      const patience = new AbortController()
      const options = { signal: patience.signal }
      const refused = assert.rejects(
        stream
          ? standin.client.messages.stream(params('claude-opus-5-5'), options).finalMessage()
          : standin.client.messages.create(params('claude-opus-5-5'), options),
        Anthropic.APIUserAbortError,
      )
      await until(async () => (await standin.journal()).inFlight === 1)
      patience.abort()
      await refused

      await until(async () => (await standin.journal()).inFlight === 0)
      const [entry] = (await standin.journal()).entries
      assert.equal(entry?.outcome, 'client_gone')
      assert.ok((entry?.durationMs ?? 60_000) < 5_000)
    })
  }

  it('leaves the cache unwritten until the answer begins', async () => {
    await using standin = await startStandin({ latencyMs: { opus: 300 } })
    const warm = () =>
      standin.client.messages.create({
        ...params('claude-opus-5-5'),
        system: [{ type: 'text', text: 'x'.repeat(3_200), cache_control: { type: 'ephemeral' } }],
      })
    const [one, two] = await Promise.all([warm(), warm()])
    const three = await warm()

    assert.equal(one.usage.cache_read_input_tokens, 0)
    assert.equal(two.usage.cache_read_input_tokens, 0)
    assert.ok((three.usage.cache_read_input_tokens ?? 0) > 1_000)
  })

  it('beyond two minutes is refused at start', () => {
    assert.throws(() => createClaudeStandin({ latencyMs: { opus: 120_001 } }))
  })
})
