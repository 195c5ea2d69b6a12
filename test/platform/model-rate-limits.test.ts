import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ModelRateLimits } from '../../platform/model-rate-limits.ts'

const model = 'claude-opus-5-5'
const never = new AbortController().signal
const start = Date.parse('2026-11-26T08:00:00Z')

const headers = (remaining: number, resetMs: number, kind = 'requests') =>
  new Headers({
    [`anthropic-ratelimit-${kind}-limit`]: '100',
    [`anthropic-ratelimit-${kind}-remaining`]: String(remaining),
    [`anthropic-ratelimit-${kind}-reset`]: new Date(start + resetMs).toISOString(),
  })
const limited = { kind: 'unavailable', code: 'model_rate_limited' }

describe('the rate limits of Claude', () => {
  it('let everything go that nothing is known of', async () => {
    await new ModelRateLimits(() => start).admit(model, never)
  })

  it('refuse what would be refused, with the time of the reset, when that is far away', async () => {
    const limits = new ModelRateLimits(() => start)
    limits.note(model, headers(0, 30_000))

    await assert.rejects(limits.admit(model, never), {
      ...limited,
      details: { retryAfterMs: 30_000 },
    })
    await limits.admit('claude-haiku-5-5', never)
  })

  it('hold it back until a reset that is near', async () => {
    const limits = new ModelRateLimits(() => start)
    limits.note(model, headers(0, 40))
    const since = performance.now()

    await limits.admit(model, never)

    assert.ok(performance.now() - since >= 35)
  })

  it('count what has been sent since, so that many at once do not overrun them', async () => {
    const limits = new ModelRateLimits(() => start)
    limits.note(model, headers(2, 30_000))

    await limits.admit(model, never)
    await limits.admit(model, never)
    await assert.rejects(limits.admit(model, never), limited)
  })

  it('are not raised by an answer that was overtaken', async () => {
    const limits = new ModelRateLimits(() => start)
    limits.note(model, headers(0, 30_000))
    limits.note(model, headers(3, 30_000))

    await assert.rejects(limits.admit(model, never), limited)
  })

  it('begin anew with the next window', async () => {
    let now = start
    const limits = new ModelRateLimits(() => now)
    limits.note(model, headers(0, 30_000))
    now += 30_001

    await limits.admit(model, never)
    limits.note(model, headers(5, 60_000))
    await limits.admit(model, never)
  })

  it('hold for model tokens as well, and a caller that leaves does not wait', async () => {
    const limits = new ModelRateLimits(() => start)
    limits.note(model, headers(0, 4_000, 'output-tokens'))

    await assert.rejects(limits.admit(model, AbortSignal.abort(new Error('gone'))), /gone/)
  })

  it('understand nothing that is no limit', async () => {
    const limits = new ModelRateLimits(() => start)
    limits.note(
      model,
      new Headers({
        'anthropic-ratelimit-requests-remaining': 'many',
        'anthropic-ratelimit-requests-reset': 'soon',
      }),
    )

    await limits.admit(model, never)
  })
})
