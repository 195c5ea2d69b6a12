/** Network: the calls between processes, and the processes themselves. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { newDashboard, row } from '../dashboard.ts'
import { graph, number, stackedGraph } from '../panels.ts'

const failed = 'outcome=~"unavailable|internal"'
const colors = {
  ok: 'green',
  rejected: 'yellow',
  missing: 'blue',
  invalid: 'purple',
  denied: 'orange',
  unavailable: 'semi-dark-red',
  internal: 'red',
}

const calls = (by: string, which = '') =>
  `sum by (${by}) (rate(mcp_tool_calls_total${which}[$__rate_interval]))`
const p95 = (metric: string, by: string) =>
  `histogram_quantile(0.95, sum by (le, ${by}) (rate(${metric}_bucket[$__rate_interval])))`

export function networkDashboard(): Dashboard {
  const title = 'Baton / Network'
  return newDashboard('baton-network', title, 'MCP calls, breakers, refusals, processes, Postgres')
    .withPanel(
      number({
        title: 'Processes up',
        description: 'Targets of the job baton that could be scraped.',
        unit: 'none',
        queries: { up: 'sum(up{job="baton"})' },
      }),
    )
    .withPanel(
      number({
        title: 'Tool calls a second',
        description: 'Calls served, by all servers.',
        unit: 'none',
        queries: { calls: 'sum(rate(mcp_tool_calls_total[$__rate_interval]))' },
      }),
    )
    .withPanel(
      number({
        title: 'Failed tool calls',
        description:
          'Share of the calls that failed; refusals do not count. By server: ToolErrorRatioHigh.',
        unit: 'percentunit',
        redFrom: 0.05,
        queries: {
          failed: `(sum(rate(mcp_tool_calls_total{${failed}}[$__rate_interval])) or vector(0)) / sum(rate(mcp_tool_calls_total[$__rate_interval]))`,
        },
      }),
    )
    .withPanel(
      number({
        title: 'Breakers not closed',
        description: 'Dependencies that some process has stopped calling, or only tries.',
        unit: 'none',
        redFrom: 1,
        queries: { breakers: 'count(circuit_breaker_state > 0) or vector(0)' },
      }),
    )
    .withRow(row('MCP calls'))
    .withPanel(
      stackedGraph({
        title: 'Calls a second by server',
        description: 'Calls served.',
        unit: 'none',
        queries: { '{{server}}': calls('server') },
      }),
    )
    .withPanel(
      stackedGraph({
        title: 'Calls a second by outcome',
        description: 'ok, or the kind of the error. rejected is the business saying no.',
        unit: 'none',
        colors,
        queries: { '{{outcome}}': calls('outcome') },
      }),
    )
    .withPanel(
      graph({
        title: 'Failed calls a second',
        description: 'unavailable and internal only.',
        unit: 'none',
        queries: {
          '{{server}} {{tool}} {{outcome}}': `${calls('server, tool, outcome', `{${failed}}`)} > 0`,
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Latency by tool, 95th percentile',
        description: 'As the server measures it. Tools with an agent behind them wait for models.',
        unit: 's',
        queries: { '{{tool}}': p95('mcp_tool_duration_seconds', 'tool') },
      }),
    )
    .withPanel(
      graph({
        title: 'Latency of calls made, 95th percentile',
        description:
          'As the caller measures it, with token and network. Compare with the left one.',
        unit: 's',
        queries: {
          '{{service}} to {{server}}': p95('mcp_client_duration_seconds', 'service, server'),
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Circuit breakers',
        description:
          'The highest of all processes: 0 closed, 1 half open, 2 open. The alert CircuitBreakerOpen names the process.',
        unit: 'none',
        redFrom: 2,
        queries: {
          '{{dependency}}': 'max by (dependency) (circuit_breaker_state)',
        },
      }),
    )
    .withRow(row('Processes'))
    .withPanel(
      graph({
        title: 'Refused credentials a minute',
        description: 'Requests refused for their token, by reason.',
        unit: 'none',
        queries: {
          '{{service}} {{reason}}':
            'sum by (service, reason) (rate(auth_refusals_total[$__rate_interval])) * 60 > 0',
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Event loop lag, 99th percentile',
        description: 'Of the slowest replica. Above 0.1 s something computes for too long.',
        unit: 's',
        redFrom: 0.1,
        queries: { '{{service}}': 'max by (service) (nodejs_eventloop_lag_p99_seconds)' },
      }),
    )
    .withPanel(
      graph({
        title: 'Postgres pool',
        description: 'Connections of all replicas. waiting above 0: queries wait for a connection.',
        unit: 'none',
        queries: {
          '{{service}} {{state}}':
            'sum by (service, state) (postgres_pool_connections{state=~"busy|waiting"})',
        },
      }),
    )
    .withPanel(
      graph({
        title: 'CPU',
        description: 'Cores that each service uses. One process uses hardly more than one.',
        unit: 'none',
        queries: {
          '{{service}}': 'sum by (service) (rate(process_cpu_seconds_total[$__rate_interval]))',
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Memory',
        description: 'Resident memory of the largest replica.',
        unit: 'decbytes',
        queries: { '{{service}}': 'max by (service) (process_resident_memory_bytes)' },
      }),
    )
    .withPanel(
      graph({
        title: 'Garbage collection',
        description:
          'Share of the time. More than a tenth: the heap is too small or something leaks.',
        unit: 'percentunit',
        queries: {
          '{{service}}':
            'max by (service) (sum by (service, instance) (rate(nodejs_gc_duration_seconds_sum[$__rate_interval])))',
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Replicas up',
        description: 'None: ServiceAbsent.',
        unit: 'none',
        queries: { '{{service}}': 'sum by (service) (up{job="baton"})' },
      }),
    )
    .withPanel(
      graph({
        title: 'Restarts',
        description: 'Processes that began anew at the same address.',
        unit: 'none',
        queries: {
          '{{service}}': 'sum by (service) (changes(process_start_time_seconds[$__rate_interval]))',
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Open files',
        description: 'Sockets and files of the replica with the most. Only ever rising: a leak.',
        unit: 'none',
        queries: { '{{service}}': 'max by (service) (process_open_fds)' },
      }),
    )
    .build()
}
