/**
 * What model tokens cost: a dated price file, exact integer arithmetic in nano-USD (1e-9 USD).
 * A price of 1 USD per million tokens is 1,000 nano-USD per token.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { internal, invalid } from './errors.ts'

/** Model tokens of one or more requests. Total input is the sum of the four input kinds. */
export interface Usage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWrite5mTokens: number
  readonly cacheWrite1hTokens: number
}

export const noUsage: Usage = Object.freeze({
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
})

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadTokens: a.cacheReadTokens + b.cacheReadTokens,
    cacheWrite5mTokens: a.cacheWrite5mTokens + b.cacheWrite5mTokens,
    cacheWrite1hTokens: a.cacheWrite1hTokens + b.cacheWrite1hTokens,
  }
}

const nanoUsd = z.int().positive()
const priceStep = z.object({
  promptTokensMax: z.int().positive(),
  input: nanoUsd,
  output: nanoUsd,
  cacheWrite5m: nanoUsd,
  cacheWrite1h: nanoUsd,
  cacheRead: nanoUsd,
})
const priceFile = z.object({
  date: z.iso.date(),
  source: z.string(),
  models: z.record(z.string(), z.array(priceStep).min(1)),
})
export type Prices = z.infer<typeof priceFile>

/** @throws a ZodError when the file is not a price file: better at start than on a bill. */
export function readPrices(file: URL = new URL('./prices.json', import.meta.url)): Prices {
  return priceFile.parse(JSON.parse(readFileSync(file, 'utf8')))
}

const isPriced = (prices: Prices, model: string): boolean => Object.hasOwn(prices.models, model)

/**
 * A setting that names a model. One without a price is refused at start: what it costs could only be
 * found out after it was paid. Give a default with `prefault`, so that it is checked as well.
 */
export const modelId = z.string().refine((model) => isPriced(readPrices(), model), {
  error: 'has no price in platform/prices.json',
})

/** @throws invalid `model_unpriced`: ask before a request goes out, not once it is billed. */
export function assertPriced(prices: Prices, model: string): void {
  if (isPriced(prices, model)) return
  throw invalid('model_unpriced', `The price file of ${prices.date} has no model ${model}`)
}

/**
 * The cost of one request in nano-USD. The whole request is billed at the step that its prompt
 * falls into (Haiku 5.5 costs five times as much above 100,000 prompt tokens, output included).
 */
export function costNanoUsd(prices: Prices, model: string, usage: Usage): number {
  const steps = isPriced(prices, model) ? prices.models[model] : undefined
  const cacheWrites = usage.cacheWrite5mTokens + usage.cacheWrite1hTokens
  const promptTokens = usage.inputTokens + usage.cacheReadTokens + cacheWrites
  const step = steps?.find((s) => promptTokens <= s.promptTokensMax) ?? steps?.at(-1)
  if (step === undefined) {
    throw internal('unknown_price', `The price file of ${prices.date} has no model ${model}`)
  }
  return (
    usage.inputTokens * step.input +
    usage.outputTokens * step.output +
    usage.cacheReadTokens * step.cacheRead +
    usage.cacheWrite5mTokens * step.cacheWrite5m +
    usage.cacheWrite1hTokens * step.cacheWrite1h
  )
}

/** Prints nano-USD exactly: 1234500 is "0.0012345". No floating point is involved. */
export function formatUsd(nano: number): string {
  if (!Number.isSafeInteger(nano) || nano < 0) throw internal('bad_cost', `Not a cost: ${nano}`)
  const digits = String(nano).padStart(10, '0')
  const fraction = digits.slice(-9).replace(/0+$/, '')
  return `${digits.slice(0, -9)}.${fraction.padEnd(2, '0')}`
}
