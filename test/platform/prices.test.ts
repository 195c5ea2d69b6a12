import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addUsage, costNanoUsd, formatUsd, noUsage, readPrices } from '../../platform/prices.ts'

const prices = readPrices()
const haiku = 'claude-haiku-5-5'
const million = 1_000_000

describe('prices', () => {
  const cases: readonly (readonly [string, object, number])[] = [
    [haiku, { inputTokens: million / 10 }, 0.01],
    [haiku, { outputTokens: million }, 0.5],
    [haiku, { cacheReadTokens: million / 10 }, 0.001],
    [haiku, { cacheWrite5mTokens: million / 10 }, 0.0125],
    [haiku, { cacheWrite1hTokens: million / 10 }, 0.02],
    ['claude-sonnet-5-5', { inputTokens: million }, 2],
    ['claude-sonnet-5-5', { outputTokens: million }, 10],
    ['claude-sonnet-5-5', { cacheReadTokens: million }, 0.1],
    ['claude-opus-5-5', { inputTokens: million }, 4],
    ['claude-opus-5-5', { outputTokens: million }, 20],
    ['claude-opus-5-5', { cacheWrite5mTokens: million }, 5],
    ['claude-opus-5-5', { cacheWrite1hTokens: million }, 8],
    ['claude-opus-5-5', { cacheReadTokens: million }, 0.2],
  ]
  for (const [model, usage, usd] of cases) {
    it(`of ${model} make ${JSON.stringify(usage)} cost ${usd} USD`, () => {
      const cost = costNanoUsd(prices, model, { ...noUsage, ...usage })

      assert.equal(cost, Math.round(usd * 1e9))
    })
  }

  it('add up exactly: a single token of each kind', () => {
    const one = {
      inputTokens: 1,
      outputTokens: 1,
      cacheReadTokens: 1,
      cacheWrite5mTokens: 1,
      cacheWrite1hTokens: 1,
    }

    assert.equal(costNanoUsd(prices, 'claude-opus-5-5', one), 4_000 + 20_000 + 200 + 5_000 + 8_000)
    assert.equal(costNanoUsd(prices, haiku, one), 100 + 500 + 10 + 125 + 200)
    assert.equal(formatUsd(costNanoUsd(prices, haiku, one)), '0.000000935')
  })

  it('of Haiku are five times as high above 100,000 prompt tokens, output included', () => {
    const small = { ...noUsage, inputTokens: 100_000, outputTokens: 100 }
    const large = { ...noUsage, inputTokens: 100_001, outputTokens: 100 }

    assert.equal(costNanoUsd(prices, haiku, small), 100_000 * 100 + 100 * 500)
    assert.equal(costNanoUsd(prices, haiku, large), 100_001 * 500 + 100 * 2_500)
  })

  it('count cached tokens towards the step that a prompt falls into', () => {
    const usage = {
      ...noUsage,
      inputTokens: 1,
      cacheReadTokens: 60_000,
      cacheWrite5mTokens: 40_000,
    }

    assert.equal(costNanoUsd(prices, haiku, usage), 500 + 60_000 * 50 + 40_000 * 625)
  })

  it('of a model that the file does not know are a bug, not zero', () => {
    assert.throws(() => costNanoUsd(prices, 'claude-unknown', noUsage), { code: 'unknown_price' })
  })

  it('sum usage kind by kind', () => {
    const a = { ...noUsage, inputTokens: 1, cacheReadTokens: 5 }
    const b = { ...noUsage, inputTokens: 2, outputTokens: 3 }

    assert.deepEqual(addUsage(a, b), {
      inputTokens: 3,
      outputTokens: 3,
      cacheReadTokens: 5,
      cacheWrite5mTokens: 0,
      cacheWrite1hTokens: 0,
    })
  })

  const printed: readonly (readonly [number, string])[] = [
    [0, '0.00'],
    [1, '0.000000001'],
    [1_234_500, '0.0012345'],
    [10_000_000, '0.01'],
    [100_000_000, '0.10'],
    [1_000_000_000, '1.00'],
    [1_000_000_001, '1.000000001'],
    [Number.MAX_SAFE_INTEGER, '9007199.254740991'],
  ]
  for (const [nano, text] of printed) {
    it(`print ${nano} nano-USD as ${text}`, () => assert.equal(formatUsd(nano), text))
  }

  it('refuse to print what is not an exact cost', () => {
    for (const nano of [-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER + 1]) {
      assert.throws(() => formatUsd(nano), { kind: 'internal', code: 'bad_cost' })
    }
  })
})
