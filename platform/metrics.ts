/**
 * Prometheus metrics of one process: every name that platform code records is here, once. Labels come
 * from closed sets, never from ids, and those that alerts ask for exist from the start, as 0.
 *
 * Only this file knows prom-client. A process adds its own metrics through `counter` and friends.
 */
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  Registry,
  type RegistryContentType,
} from 'prom-client'
import { type ErrorKind, policy } from './errors.ts'
import {
  type AgentOutcome,
  agentOutcomes,
  authRefusalReason,
  authRefusalReasons,
  tokenKinds,
  watchedModelOutcomes,
} from './metric-labels.ts'
import { asksForOpenMetrics, classicType, openMetricsType, toClassicText } from './metric-text.ts'
import type { BreakerState } from './resilience.ts'
import { currentWork } from './work.ts'

const breakerLevel = { closed: 0, half_open: 1, open: 2 } as const satisfies Record<
  BreakerState,
  number
>
const callOutcomes = ['ok', ...(Object.keys(policy) as ErrorKind[])] as const

/** Up to the longest model call that is waited for by default. */
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60]
const turns = [1, 2, 3, 4, 5, 6, 8, 12, 20, 50]
/** Gauges of prom-client under names that are kept for counters. */
const misnamed = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`)

type Labels<L extends string> = Readonly<Record<L, string>>
type Samples<L extends string> = readonly (readonly [labels: Labels<L>, value: number])[]

/** The part of a Postgres pool that is shown. */
interface PoolCounts {
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics(service: string) {
  const instruments = createInstruments(service)
  const { registry, counter, gauge, observed, histogram } = instruments
  const breakerState = gauge('circuit_breaker_state', '0 closed, 1 half open, 2 open', [
    'dependency',
  ])
  const authRefusals = counter('auth_refusals_total', 'Requests refused for who sent them', [
    'reason',
  ])
  for (const reason of authRefusalReasons) authRefusals.inc({ reason }, 0)
  const model = modelMetrics(instruments)
  const tool = toolMetrics(instruments)
  const pools = new Map<string, PoolCounts>()
  const ofPools =
    (read: (pool: PoolCounts) => Record<string, number>) => (): Samples<'pool' | 'state'> =>
      [...pools].flatMap(([name, pool]) =>
        Object.entries(read(pool)).map(([state, value]) => [{ pool: name, state }, value] as const),
      )
  observed(
    'postgres_pool_connections',
    'Connections by state; waiting are callers that have none yet',
    ['pool', 'state'],
    ofPools(({ totalCount, idleCount, waitingCount }) => ({
      idle: idleCount,
      busy: totalCount - idleCount,
      waiting: waitingCount,
    })),
  )

  return {
    ...{ registry, counter, gauge, observed, histogram },
    ...model,
    ...tool,
    /** What a circuit breaker of this dependency calls when its state changes. */
    onBreakerChange: (dependency: string) => {
      breakerState.set({ dependency }, breakerLevel.closed)
      return (state: BreakerState) => breakerState.set({ dependency }, breakerLevel[state])
    },
    /** Counts a refusal by its code; one that is not on the list counts as `other`. */
    refused: (code: string) => authRefusals.inc({ reason: authRefusalReason(code) }),
    listenReconnects: counter(
      'postgres_listen_reconnects_total',
      'LISTEN connections that were lost and made anew',
      ['channel'],
    ),
    watchPool: (name: string, pool: PoolCounts): void => {
      pools.set(name, pool)
    },
    /** The answer to a scrape. */
    render: async (accept: string | undefined): Promise<{ contentType: string; text: string }> => {
      const text = await registry.metrics()
      return asksForOpenMetrics(accept)
        ? { contentType: openMetricsType, text }
        : { contentType: classicType, text: toClassicText(text) }
    },
  }
}

function createInstruments(service: string) {
  const registry = new Registry<RegistryContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  for (const name of misnamed) registry.removeSingleMetric(name)
  const registers = [registry]

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames, registers })
  return {
    registry,
    counter,
    gauge,
    /** A gauge that is read when somebody scrapes; without a sample it is absent. */
    observed: <L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      read: () => Samples<L> | Promise<Samples<L>>,
    ) => {
      const collect = async (): Promise<void> => {
        const samples = await read()
        // Nothing waits from here on, so a second scrape at the same time never sees half of them.
        shown.reset()
        if (labelNames.length === 0) shown.remove()
        for (const [labels, value] of samples) shown.set(labels, value)
      }
      const shown = new Gauge({ name, help, labelNames, registers, collect })
    },
    histogram: <L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      buckets: readonly number[] = seconds,
    ) => {
      const options = { name, help, labelNames, registers, buckets: [...buckets] }
      return timingsOf(new Histogram({ ...options, enableExemplars: true }))
    },
    /** Adds up nano-USD as whole numbers, so that no sum is ever off by a rounding; shows USD. */
    costCounter: <L extends string>(name: string, help: string, labelNames: readonly L[]) => {
      const sums = new Map<string, { labels: Labels<L>; nanoUsd: number }>()
      const collect = (): void => {
        shown.reset()
        for (const { labels, nanoUsd } of sums.values()) shown.inc(labels, nanoUsd / 1e9)
      }
      const shown = new Counter({ name, help, labelNames, registers, collect })
      return {
        add: (labels: Labels<L>, nanoUsd: number): void => {
          const key = JSON.stringify(labelNames.map((label) => labels[label]))
          const before = sums.get(key)?.nanoUsd ?? 0
          sums.set(key, { labels, nanoUsd: before + nanoUsd })
        },
      }
    },
  }
}

/** Every observation keeps the trace it was made in as the exemplar of its bucket. */
function timingsOf<L extends string>(histogram: Histogram<L>) {
  const observe = (
    labels: Labels<L>,
    value: number,
    traceId: string | undefined = currentWork().traceId,
  ): void => {
    const exemplarLabels = (traceId === undefined ? {} : { trace_id: traceId }) as Labels<never>
    histogram.observe({ labels, value, exemplarLabels })
  }
  return {
    observe,
    /** Makes the series of these labels exist, with nothing in it. */
    zero: (labels: Labels<L>): void => histogram.zero(labels),
    /** Returns what ends the time and observes it, in seconds. */
    startTimer: (labels: Labels<L>, traceId?: string) => {
      const startedMs = performance.now()
      return (): void => observe(labels, (performance.now() - startedMs) / 1_000, traceId)
    },
  }
}

type Instruments = ReturnType<typeof createInstruments>

/** `mode` says of each whether Claude itself was asked or the stand-in, whose cost is simulated. */
function modelMetrics({ counter, histogram, costCounter }: Instruments) {
  const metrics = {
    claudeTokens: counter('claude_tokens_total', 'Model tokens by kind', ['model', 'kind', 'mode']),
    claudeCost: costCounter(
      'claude_cost_usd_total',
      'Model cost in USD, exact to the nano-USD; simulated where mode is standin',
      ['model', 'mode'],
    ),
    claudeRequests: counter(
      'claude_requests_total',
      'Model requests by stop reason, or by the code of their error',
      ['model', 'outcome', 'mode'],
    ),
    claudeDuration: histogram('claude_request_duration_seconds', 'Time of one model request', [
      'model',
      'mode',
    ]),
    claudeFirstToken: histogram(
      'claude_time_to_first_token_seconds',
      'Time until a model request begins to answer',
      ['model', 'mode'],
    ),
    agentTurns: histogram('agent_turns', 'Turns that one agent run took', ['mode'], turns),
    agentOutcomes: counter('agent_outcomes_total', 'How agent runs ended', ['outcome', 'mode']),
    agentFallbacks: counter('agent_fallbacks_total', 'Agents that went on with a smaller model', [
      'from',
      'to',
      'mode',
    ]),
  }
  return {
    ...metrics,
    /** Makes the series of the models that may be asked exist from the start. */
    expectModels: (models: readonly string[], mode: string): void => {
      for (const outcome of agentOutcomes satisfies readonly AgentOutcome[]) {
        metrics.agentOutcomes.inc({ outcome, mode }, 0)
      }
      for (const model of models) {
        metrics.claudeCost.add({ model, mode }, 0)
        for (const kind of tokenKinds) metrics.claudeTokens.inc({ model, kind, mode }, 0)
        for (const outcome of watchedModelOutcomes) {
          metrics.claudeRequests.inc({ model, outcome, mode }, 0)
        }
      }
    },
  }
}

function toolMetrics({ counter, histogram }: Instruments) {
  const toolCalls = counter('mcp_tool_calls_total', 'Tool calls served, by either door', [
    'server',
    'tool',
    'outcome',
  ])
  return {
    toolCalls,
    toolDuration: histogram('mcp_tool_duration_seconds', 'Time of one tool call served', [
      'server',
      'tool',
    ]),
    clientDuration: histogram('mcp_client_duration_seconds', 'Time of one tool call made', [
      'server',
      'tool',
    ]),
    callRowsDropped: counter(
      'tool_call_rows_dropped_total',
      'Rows of tool calls that were not written; their log lines were',
      [],
    ),
    /** Makes the series of the tools that are offered exist from the start. */
    expectTools: (server: string, tools: readonly string[]): void => {
      for (const tool of tools) {
        for (const outcome of callOutcomes) toolCalls.inc({ server, tool, outcome }, 0)
      }
    },
  }
}
