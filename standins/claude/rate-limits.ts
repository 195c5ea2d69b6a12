/**
 * Rate limits per model over fixed minutes, with the vendor's headers.
 *
 * The defaults are far above what a test or benchmark sends; configure less to rehearse 429s.
 * Cache reads do not count as input, as with the real API.
 */

import { ApiError } from './api-error.ts'

const windowMs = 60_000

/** All per model and minute. */
export type RateLimits = {
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
}

export const rateLimitsDefault: RateLimits = {
  requests: 1_000_000,
  inputTokens: 1_000_000_000,
  outputTokens: 250_000_000,
}

type Window = { startsAt: number; resetAt: string; requests: number; input: number; output: number }

export class RateLimiter {
  readonly #limits: RateLimits
  readonly #now: () => number
  readonly #windows = new Map<string, Window>()

  constructor(limits: RateLimits, now: () => number) {
    this.#limits = limits
    this.#now = now
  }

  /** Counts one request of a known model. Throws 429 with `retry-after` when the minute is used up. */
  admit(modelId: string): void {
    const window = this.#window(modelId)
    const used =
      window.requests >= this.#limits.requests ||
      window.input >= this.#limits.inputTokens ||
      window.output >= this.#limits.outputTokens
    if (used) {
      const seconds = Math.ceil((window.startsAt + windowMs - this.#now()) / 1_000)
      throw new ApiError(
        'rate_limit_error',
        `This request would exceed the rate limit of ${modelId}.`,
        {
          headers: { ...this.headers(modelId), 'retry-after': String(Math.max(1, seconds)) },
        },
      )
    }
    window.requests += 1
  }

  /** Counts what an answer used. Input is uncached input plus cache writes. */
  spend(modelId: string, inputTokens: number, outputTokens: number): void {
    const window = this.#window(modelId)
    window.input += inputTokens
    window.output += outputTokens
  }

  /** The `anthropic-ratelimit-*` headers as they stand now. */
  headers(modelId: string): Record<string, string> {
    const { resetAt, requests, input, output } = this.#window(modelId)
    const limits = this.#limits
    const headers: Record<string, string> = {}
    const add = (name: string, limit: number, used: number) => {
      headers[`anthropic-ratelimit-${name}-limit`] = String(limit)
      headers[`anthropic-ratelimit-${name}-remaining`] = String(Math.max(0, limit - used))
      headers[`anthropic-ratelimit-${name}-reset`] = resetAt
    }
    add('requests', limits.requests, requests)
    add('tokens', limits.inputTokens + limits.outputTokens, input + output)
    add('input-tokens', limits.inputTokens, input)
    add('output-tokens', limits.outputTokens, output)
    return headers
  }

  #window(modelId: string): Window {
    const now = this.#now()
    const current = this.#windows.get(modelId)
    if (current !== undefined && now < current.startsAt + windowMs) return current
    const resetAt = new Date(now + windowMs).toISOString()
    const fresh = { startsAt: now, resetAt, requests: 0, input: 0, output: 0 }
    this.#windows.set(modelId, fresh)
    return fresh
  }
}
