/** What a metric shows that only a database knows: asked for by a scrape, rarely, and not for long. */
import { setTimeout as delay } from 'node:timers/promises'

export interface ScrapedOptions {
  /** How long an answer is shown before it is asked for anew, milliseconds. Default 2 000. */
  readonly cacheMs?: number
  /** How long a scrape waits for it, milliseconds. Default 1 000. */
  readonly timeoutMs?: number
  /** Milliseconds that never go back; for tests. */
  readonly nowMs?: () => number
}

/**
 * Undefined when `read` fails or takes too long: an old number would look like a present one. All who
 * ask at the same time share one reading, so neither many scrapers nor a slow database pile up queries.
 */
export function scraped<T>(
  read: () => Promise<T>,
  { cacheMs = 2_000, timeoutMs = 1_000, nowMs = () => performance.now() }: ScrapedOptions = {},
): () => Promise<T | undefined> {
  let reading: Promise<T | undefined> = Promise.resolve(undefined)
  let isReading = false
  let goodUntilMs = Number.NEGATIVE_INFINITY
  const readAgain = async (): Promise<T | undefined> => {
    isReading = true
    const answer = await read().catch(() => undefined)
    isReading = false
    goodUntilMs = nowMs() + cacheMs
    return answer
  }
  return () => {
    if (!isReading && nowMs() >= goodUntilMs) reading = readAgain()
    return Promise.race([reading, delay(timeoutMs, undefined, { ref: false })])
  }
}
