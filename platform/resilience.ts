/** Deadlines, retries with full jitter, and a circuit breaker. One retry layer per hop. */
import { setTimeout as delay } from 'node:timers/promises'
import { type AppError, named, policy, unavailable } from './errors.ts'

export interface RetryPolicy {
  readonly attemptsMax: number
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
}

/** Three attempts, exponential from 1 s, at most 10 s apart. */
export const defaultRetry: RetryPolicy = {
  attemptsMax: 3,
  backoffMinMs: 1_000,
  backoffMaxMs: 10_000,
}

/**
 * The wait before attempt `attempt + 1`: exponential with full jitter, so that callers who failed
 * together do not come back together (https://aws.amazon.com/builders-library/, "Timeouts, retries
 * and backoff with jitter"). Never below half the minimum.
 */
export function backoffMs(retry: RetryPolicy, attempt: number, random = Math.random): number {
  const ceiling = Math.min(retry.backoffMaxMs, retry.backoffMinMs * 2 ** (attempt - 1))
  return Math.max(retry.backoffMinMs / 2, random() * ceiling)
}

/**
 * Tries until it works, until the error says that a retry cannot help, or until the attempts are
 * used up; then throws the last error, named. A `retryAfterMs` in the error's details is honoured up
 * to the longest backoff. Waits end early when `signal` aborts.
 */
export async function withRetry<T>(
  retry: RetryPolicy,
  signal: AbortSignal,
  attemptOnce: (attempt: number) => Promise<T>,
  onFailure: (error: AppError, attempt: number) => void = () => {},
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptOnce(attempt)
    } catch (cause) {
      const error = named(cause)
      onFailure(error, attempt)
      const last = attempt >= retry.attemptsMax || !policy[error.kind].retry || signal.aborted
      if (last) throw error
      const asked = Math.min(Number(error.details?.retryAfterMs ?? 0), retry.backoffMaxMs)
      const waitMs = Math.max(asked, backoffMs(retry, attempt))
      await delay(waitMs, undefined, { signal }).catch(() => {
        throw error
      })
    }
  }
}

/** Aborts after `ms` or with `parent`, whichever comes first. */
export function deadline(ms: number, parent?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(ms)
  return parent === undefined ? timeout : AbortSignal.any([parent, timeout])
}

export type BreakerState = 'closed' | 'open' | 'half_open'

/** `nothing`: whoever asked went away before there was an answer. */
export type BreakerVerdict = 'failure' | 'success' | 'nothing'

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failuresMax: number
  /** How long it stays open before one call may try again. */
  readonly openMs: number
  /** What an error says of the dependency. By default `unavailable` is a failure, the rest a success. */
  readonly verdictOf?: (error: AppError) => BreakerVerdict
  readonly now?: () => number
  readonly onChange?: (state: BreakerState) => void
}

const verdictByKind = ({ kind }: AppError): BreakerVerdict =>
  kind === 'unavailable' ? 'failure' : 'success'

/**
 * Stops calling a dependency that keeps failing, so that callers fail at once instead of waiting.
 * By default only `unavailable` counts as a failure: a refusal shows that the dependency is alive.
 * After its rest one call at a time is let through as a trial.
 */
export class CircuitBreaker {
  readonly #dependency: string
  readonly #options: BreakerOptions
  #failures = 0
  #openedAt = 0
  #state: BreakerState = 'closed'

  constructor(dependency: string, options: BreakerOptions) {
    this.#dependency = dependency
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  /** @throws unavailable `circuit_open` while open, without calling. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    this.#admit()
    try {
      const result = await call()
      this.#succeeded()
      return result
    } catch (cause) {
      this.#learn(named(cause))
      throw cause
    }
  }

  #learn(error: AppError): void {
    const { verdictOf = verdictByKind } = this.#options
    const verdict = verdictOf(error)
    if (verdict === 'failure') this.#failed()
    else if (verdict === 'success') this.#succeeded()
    // A trial that nobody waited for proved nothing: the next call is the trial.
    else if (this.#state === 'half_open') this.#become('open')
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }

  #admit(): void {
    if (this.#state === 'closed') return
    if (this.#state === 'open' && this.#now() - this.#openedAt >= this.#options.openMs) {
      this.#become('half_open')
      return
    }
    throw unavailable('circuit_open', `${this.#dependency} failed repeatedly and is resting`, {
      next: 'Try again in a few seconds.',
    })
  }

  #succeeded(): void {
    this.#failures = 0
    this.#become('closed')
  }

  #failed(): void {
    this.#failures += 1
    if (this.#state !== 'half_open' && this.#failures < this.#options.failuresMax) return
    this.#openedAt = this.#now()
    this.#become('open')
  }

  #become(state: BreakerState): void {
    if (state === this.#state) return
    this.#state = state
    this.#options.onChange?.(state)
  }
}
