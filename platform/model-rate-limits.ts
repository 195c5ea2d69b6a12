/**
 * Claude's rate limits as its answers tell them (`anthropic-ratelimit-*` headers): who knows that
 * nothing remains waits for the reset instead of asking for a 429. Per model, like the limits. Every
 * process learns from its own answers; an account that several share may still answer 429.
 * https://docs.claude.com/en/api/rate-limits, read October 2026.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { unavailable } from './errors.ts'

const kinds = ['requests', 'tokens', 'input-tokens', 'output-tokens'] as const
/** A reset further away than this is not waited for: the caller goes another way. */
const waitMsMax = 5_000

interface Budget {
  remaining: number
  readonly resetAtMs: number
}

export class ModelRateLimits {
  readonly #budgets = new Map<string, Map<string, Budget>>()
  readonly #now: () => number

  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Learns from the headers of one answer, refusals included. */
  note(model: string, headers: Headers): void {
    const budgets = this.#of(model)
    for (const kind of kinds) {
      const remaining = Number(headers.get(`anthropic-ratelimit-${kind}-remaining`) ?? Number.NaN)
      const resetAtMs = Date.parse(headers.get(`anthropic-ratelimit-${kind}-reset`) ?? '')
      if (Number.isNaN(remaining) || Number.isNaN(resetAtMs)) continue
      // Answers may overtake each other: within one window less remains with every answer.
      const known = budgets.get(kind)
      const isSameWindow = known !== undefined && known.resetAtMs === resetAtMs
      const left = isSameWindow ? Math.min(known.remaining, remaining) : remaining
      budgets.set(kind, { remaining: left, resetAtMs })
    }
  }

  /**
   * Lets one request go, at once or when the limit is reset.
   *
   * @throws unavailable `model_rate_limited` with `retryAfterMs` when that is more than 5 s away.
   */
  async admit(model: string, signal: AbortSignal): Promise<void> {
    const waitMs = this.#waitMs(model)
    if (waitMs > waitMsMax) {
      throw unavailable('model_rate_limited', 'The rate limit of Claude is used up', {
        details: { retryAfterMs: waitMs },
      })
    }
    if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    const requests = this.#of(model).get('requests')
    if (requests !== undefined) requests.remaining -= 1
  }

  #waitMs(model: string): number {
    const now = this.#now()
    const used = [...this.#of(model).values()].filter(({ remaining }) => remaining <= 0)
    return Math.max(0, ...used.map(({ resetAtMs }) => resetAtMs - now))
  }

  #of(model: string): Map<string, Budget> {
    const known = this.#budgets.get(model)
    if (known !== undefined) return known
    const fresh = new Map<string, Budget>()
    this.#budgets.set(model, fresh)
    return fresh
  }
}
