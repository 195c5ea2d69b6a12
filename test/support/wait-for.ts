/** The only place where a test may wait. */
import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 20

export interface WaitOptions {
  /** Default 10 000. */
  readonly timeoutMs?: number
  /** What the failure says it waited for. */
  readonly what: string
}

/**
 * Asks until the condition gives something truthy, and returns that.
 *
 * A condition that throws counts as "not yet".
 *
 * @throws Error naming `what` after `timeoutMs`; its `cause` is what the condition threw last.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, what }: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let cause: unknown
    try {
      const value = await condition()
      if (value) return value
    } catch (error) {
      cause = error
    }
    if (performance.now() > deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`, { cause })
    }
    await delay(pollMs)
  }
}
