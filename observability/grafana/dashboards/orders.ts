/** Orders: do they come, do they end well, how long do they take, what waits. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { newDashboard, row } from '../dashboard.ts'
import { graph, number, stackedGraph } from '../panels.ts'

const colors = {
  fulfilled: 'green',
  backordered: 'blue',
  rejected: 'yellow',
  held: 'orange',
  cancelled: 'purple',
  stuck: 'red',
}

const quantile = (q: number, by = '') =>
  `histogram_quantile(${q}, sum by (le${by}) (rate(order_duration_seconds_bucket[$__rate_interval])))`

export function ordersDashboard(): Dashboard {
  return newDashboard('baton-orders', 'Baton / Orders', 'Rate, outcomes, latency and what waits')
    .withPanel(
      number({
        title: 'Orders a minute',
        description: 'Orders that ended, whatever their outcome.',
        unit: 'none',
        queries: { orders: 'sum(rate(orders_total[$__rate_interval])) * 60' },
      }),
    )
    .withPanel(
      number({
        title: 'Fulfilled',
        description: 'Share of the orders that ended as fulfilled. The rest is in Outcomes.',
        unit: 'percentunit',
        queries: {
          fulfilled:
            'sum(rate(orders_total{outcome="fulfilled"}[$__rate_interval])) / sum(rate(orders_total[$__rate_interval]))',
        },
      }),
    )
    .withPanel(
      number({
        title: 'Latency, 95th percentile',
        description: 'From intake to outcome. Alert OrderLatencyHigh above 30 s.',
        unit: 's',
        redFrom: 30,
        queries: { p95: quantile(0.95) },
      }),
    )
    .withPanel(
      number({
        title: 'Stuck',
        description: 'Orders that wait for a resume. Alert OrdersStuck above 0.',
        unit: 'none',
        redFrom: 1,
        queries: { stuck: 'max(orders_stuck)' },
      }),
    )
    .withRow(row('How orders end'))
    .withPanel(
      stackedGraph({
        title: 'Outcomes a minute',
        description: 'Orders that ended, by outcome. Held orders wait for a person.',
        unit: 'none',
        colors,
        queries: { '{{outcome}}': 'sum by (outcome) (rate(orders_total[$__rate_interval])) * 60' },
      }),
    )
    .withPanel(
      graph({
        title: 'Latency',
        description: 'From intake to outcome; the line is the threshold of OrderLatencyHigh.',
        unit: 's',
        redFrom: 30,
        queries: { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) },
      }),
    )
    .withPanel(
      graph({
        title: 'Latency by outcome, 95th percentile',
        description: 'A held order that waited for a dependency takes as long as all its attempts.',
        unit: 's',
        colors,
        queries: { '{{outcome}}': quantile(0.95, ', outcome') },
      }),
    )
    .withRow(row('What waits'))
    .withPanel(
      graph({
        title: 'In flight and queued',
        description:
          'In flight: the sum of all orchestrators. Queued: in the database, seen by each of them.',
        unit: 'none',
        queries: { 'in flight': 'sum(orders_in_flight)', queued: 'max(orders_queued)' },
      }),
    )
    .withPanel(
      graph({
        title: 'Age of the oldest queued order',
        description: 'The line is the threshold of OrderQueueAgeHigh.',
        unit: 's',
        redFrom: 60,
        queries: { 'oldest queued': 'max(order_queue_age_seconds)' },
      }),
    )
    .withPanel(
      graph({
        title: 'Stuck and recovered',
        description: 'Stuck: now. Recovered: runs taken over from processes that died.',
        unit: 'none',
        queries: {
          stuck: 'max(orders_stuck)',
          recovered: 'sum(increase(workflow_recoveries_total[$__rate_interval]))',
        },
      }),
    )
    .build()
}
