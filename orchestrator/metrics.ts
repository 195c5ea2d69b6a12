/**
 * What the orchestrator counts besides what every process counts.
 *
 * An order counts where its outcome was written: only the one whose update ended the round counts
 * it. A run that is repeated after a crash, or that two processes held for a moment, ends nothing a
 * second time, so no end counts twice. A process that dies between the write and the count takes that
 * count along, as it does all others: what Prometheus has seen of it is then one less.
 */
import type { Metrics } from '../platform/metrics.ts'
import { scraped } from '../platform/scraped.ts'
import { type Outcome, outcomes } from './outcome.ts'

/** An order may wait for a model, a queue or a carrier that is away. */
const seconds = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]

/** Where orders stand now: read when somebody scrapes. */
export interface Standing {
  /** Of this process. */
  readonly inFlight: () => number
  /** Of all replicas, from their database: one number, however many of them show it. */
  readonly waiting: () => Promise<Waiting>
}

export interface Waiting {
  readonly queued: number
  /** Of the order that waits longest, seconds; 0 when none does. */
  readonly queueAgeSeconds: number
  readonly stuck: number
}

export function createOrderMetrics(metrics: Metrics) {
  const orders = metrics.counter('orders_total', 'Rounds of orders that ended, by outcome', [
    'outcome',
  ])
  const duration = metrics.histogram(
    'order_duration_seconds',
    'Time from intake to outcome',
    ['outcome'],
    seconds,
  )
  for (const outcome of outcomes) {
    orders.inc({ outcome }, 0)
    duration.zero({ outcome })
  }
  return {
    recoveries: metrics.counter(
      'workflow_recoveries_total',
      'Runs taken over from processes that died',
      [],
    ),
    keyRotations: metrics.counter(
      'signing_key_rotations_total',
      'Rotations of the signing keys by age, by this process',
      [],
    ),
    ended: (outcome: Outcome, durationMs: number): void => {
      orders.inc({ outcome })
      duration.observe({ outcome }, durationMs / 1_000)
    },
    watchOrders: ({ inFlight, waiting }: Standing): void => {
      const read = scraped(waiting)
      const shown = (name: string, help: string, of: (waiting: Waiting) => number) =>
        metrics.observed(name, help, [], async () => {
          const now = await read()
          return now === undefined ? [] : [[{}, of(now)]]
        })
      metrics.observed('orders_in_flight', 'Orders that run in this process', [], () => [
        [{}, inFlight()],
      ])
      shown('orders_queued', 'Orders that wait in the queue, all replicas', (now) => now.queued)
      shown(
        'order_queue_age_seconds',
        'How long the oldest order in the queue has waited, all replicas',
        (now) => now.queueAgeSeconds,
      )
      shown('orders_stuck', 'Orders that wait for a resume, all replicas', (now) => now.stuck)
    },
  }
}
