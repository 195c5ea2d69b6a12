/** A steady stream of orders: one after another at a rate, bounded in flight, until it is ended. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Ledger, Submission } from './ledger.ts'

export interface Stream {
  /** No further order is sent; resolves once all that were sent are answered. */
  end(): Promise<void>
}

const inFlightMax = 24

export function startStream(
  ledger: Ledger,
  next: () => Submission,
  ordersPerSecond: number,
): Stream {
  const ending = new AbortController()
  const underWay = new Set<Promise<void>>()
  const run = async () => {
    while (!ending.signal.aborted) {
      if (underWay.size < inFlightMax) {
        const answered = ledger.submit(next()).answered
        underWay.add(answered)
        void answered.finally(() => underWay.delete(answered))
      }
      await delay(1_000 / ordersPerSecond, undefined, { signal: ending.signal }).catch(() => {})
    }
  }
  const running = run()
  return {
    end: async () => {
      ending.abort()
      await running
      await Promise.allSettled(underWay)
    },
  }
}
