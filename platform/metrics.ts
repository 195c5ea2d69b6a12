/** Prometheus metrics of one process. Labels come from closed sets, never from ids. */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
  type RegistryContentType,
} from 'prom-client'
import type { BreakerState } from './resilience.ts'

const breakerLevel = { closed: 0, half_open: 1, open: 2 } as const satisfies Record<
  BreakerState,
  number
>

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export type Metrics = ReturnType<typeof createMetrics>

/** All metrics that platform code records; a process adds its own through `counter` and friends. */
export function createMetrics(service: string) {
  const registry = new Registry<RegistryContentType>()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[] = seconds,
  ) => new Histogram({ name, help, labelNames, registers, buckets })

  const breakerState = gauge('circuit_breaker_state', '0 closed, 1 half open, 2 open', [
    'dependency',
  ])

  return {
    registry,
    counter,
    gauge,
    histogram,
    claudeTokens: counter('claude_tokens_total', 'Model tokens by kind', ['model', 'kind', 'mode']),
    claudeCostUsd: counter('claude_cost_usd_total', 'Model cost in USD', ['model', 'mode']),
    claudeRequests: counter('claude_requests_total', 'Model requests by outcome', [
      'model',
      'outcome',
      'mode',
    ]),
    claudeDuration: histogram('claude_request_duration_seconds', 'Time of one model request', [
      'model',
      'mode',
    ]),
    claudeFirstToken: histogram(
      'claude_time_to_first_token_seconds',
      'Time until a model request begins to answer',
      ['model', 'mode'],
    ),
    agentTurns: histogram(
      'agent_turns',
      'Turns that one agent run took',
      ['mode'],
      [1, 2, 3, 4, 6, 8],
    ),
    agentOutcomes: counter('agent_outcomes_total', 'How agent runs ended', ['outcome', 'mode']),
    agentFallbacks: counter('agent_fallbacks_total', 'Agents that went on with a smaller model', [
      'from',
      'to',
      'mode',
    ]),
    toolCalls: counter('mcp_tool_calls_total', 'Tool calls served', ['server', 'tool', 'outcome']),
    toolDuration: histogram('mcp_tool_duration_seconds', 'Time of one tool call served', [
      'server',
      'tool',
    ]),
    clientDuration: histogram('mcp_client_duration_seconds', 'Time of one tool call made', [
      'server',
      'tool',
    ]),
    /** What a circuit breaker of this dependency calls when its state changes. */
    onBreakerChange: (dependency: string) => (state: BreakerState) =>
      breakerState.set({ dependency }, breakerLevel[state]),
    authRefusals: counter('auth_refusals_total', 'Requests refused for their token', ['reason']),
  }
}
