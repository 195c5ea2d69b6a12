/** What the orchestrator counts besides what every process counts. */
import type { Metrics } from '../platform/metrics.ts'

export function createOrderMetrics(metrics: Metrics) {
  return {
    orders: metrics.counter('orders_total', 'Orders by outcome', ['outcome']),
    duration: metrics.histogram('order_duration_seconds', 'Time from intake to outcome', [
      'outcome',
    ]),
    inFlight: metrics.gauge('orders_in_flight', 'Orders that run in this process', []),
    queued: metrics.gauge('orders_queued', 'Orders that wait in the queue, all replicas', []),
    stuck: metrics.gauge('orders_stuck', 'Orders that wait for a resume, all replicas', []),
    recoveries: metrics.counter(
      'workflow_recoveries_total',
      'Runs taken over from processes that died',
      [],
    ),
  }
}
