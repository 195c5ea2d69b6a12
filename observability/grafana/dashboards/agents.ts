/** Agents and cost: what models are asked, how they answer, what it costs. */
import { CustomVariableBuilder, type Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { newDashboard, row } from '../dashboard.ts'
import { graph, number, stackedGraph } from '../panels.ts'

const mode = 'mode=~"$mode"'
const tokens = (by: string) =>
  `sum by (${by}) (rate(claude_tokens_total{${mode}}[$__rate_interval]))`
const requests = (by: string, which = '') =>
  `sum by (${by}) (rate(claude_requests_total{${mode}${which}}[$__rate_interval])) * 60`
const p95 = (metric: string, by: string) =>
  `histogram_quantile(0.95, sum by (le, ${by}) (rate(${metric}_bucket{${mode}}[$__rate_interval])))`
const cacheHits = (by: string) =>
  `sum${by} (rate(claude_tokens_total{${mode}, kind="cache_read"}[$__rate_interval])) / ` +
  `sum${by} (rate(claude_tokens_total{${mode}, kind=~"input|cache_read|cache_write"}[$__rate_interval]))`
const costRate = `rate(claude_cost_usd_total{${mode}}[$__rate_interval])`
const usdPerOrder = `sum(${costRate}) / sum(rate(orders_total[$__rate_interval]))`

const modes = new CustomVariableBuilder('mode')
  .label('Mode')
  .values('live,standin')
  .includeAll(true)
  .allValue('.*')
  .current({ text: 'All', value: '$__all' })

export function agentsDashboard(): Dashboard {
  const title = 'Baton / Agents and cost'
  return newDashboard('baton-agents', title, 'Tokens, cache, USD, turns, stop reasons, errors')
    .withVariable(modes)
    .withPanel(
      number({
        title: 'USD an hour',
        description: 'At the present pace. In mode standin the cost is simulated.',
        unit: 'currencyUSD',
        queries: { 'USD an hour': `sum(${costRate}) * 3600` },
      }),
    )
    .withPanel(
      number({
        title: 'USD an order',
        description: 'Model cost over orders that ended.',
        unit: 'currencyUSD',
        queries: { 'USD an order': usdPerOrder },
      }),
    )
    .withPanel(
      number({
        title: 'Cache hit rate',
        description: 'Of the tokens that went in, those read from the cache.',
        unit: 'percentunit',
        queries: { 'cache hit rate': cacheHits('') },
      }),
    )
    .withPanel(
      number({
        title: 'Requests a minute',
        description: 'Requests to models, whatever their outcome.',
        unit: 'none',
        queries: { requests: `sum(rate(claude_requests_total{${mode}}[$__rate_interval])) * 60` },
      }),
    )
    .withRow(row('Tokens and money'))
    .withPanel(
      stackedGraph({
        title: 'Tokens a second by model',
        description: 'All kinds together.',
        unit: 'short',
        queries: { '{{model}}': tokens('model') },
      }),
    )
    .withPanel(
      stackedGraph({
        title: 'Tokens a second by kind',
        description: 'Reading from the cache costs a tenth of input; writing to it a quarter more.',
        unit: 'short',
        queries: { '{{kind}}': tokens('kind') },
      }),
    )
    .withPanel(
      graph({
        title: 'Cache hit rate by model',
        description: 'Zero means that the prompt changed from run to run: CacheHitRateZero.',
        unit: 'percentunit',
        queries: { '{{model}}': cacheHits(' by (model)') },
      }),
    )
    .withPanel(
      stackedGraph({
        title: 'USD an hour by model',
        description: 'At the pace of each moment.',
        unit: 'currencyUSD',
        queries: { '{{model}}': `sum by (model) (${costRate}) * 3600` },
      }),
    )
    .withPanel(
      graph({
        title: 'USD of the last hour against the limit',
        description: 'The limit is SPEND_USD_PER_HOUR_MAX in rules/limits.yml: SpendHigh.',
        unit: 'currencyUSD',
        queries: {
          '{{mode}}': `baton:spend_usd:1h{${mode}}`,
          limit: 'baton:limit:spend_usd_per_hour',
        },
      }),
    )
    .withPanel(
      graph({
        title: 'USD an order',
        description: 'Model cost over orders that ended.',
        unit: 'currencyUSD',
        queries: { 'USD an order': usdPerOrder },
      }),
    )
    .withRow(row('How agents run'))
    .withPanel(
      graph({
        title: 'Turns of a run, 95th percentile',
        description: 'Two are usual: look with a tool, then judge.',
        unit: 'none',
        queries: { '{{service}}': p95('agent_turns', 'service') },
      }),
    )
    .withPanel(
      stackedGraph({
        title: 'Runs a minute by outcome',
        description: 'rules: the agent gave no usable verdict and rules decided.',
        unit: 'none',
        queries: {
          '{{service}} {{outcome}}': `sum by (service, outcome) (rate(agent_outcomes_total{${mode}}[$__rate_interval])) * 60 > 0`,
        },
      }),
    )
    .withPanel(
      stackedGraph({
        title: 'Stop reasons a minute',
        description: 'Of requests that were answered.',
        unit: 'none',
        queries: {
          '{{outcome}}': `${requests('outcome', ', outcome!~"model_.*|call_abandoned"')} > 0`,
        },
      }),
    )
    .withRow(row('How models answer'))
    .withPanel(
      graph({
        title: 'Latency by model, 95th percentile',
        description: 'Of one request. The line is the threshold of ModelLatencyHigh.',
        unit: 's',
        redFrom: 30,
        queries: { '{{model}}': p95('claude_request_duration_seconds', 'model') },
      }),
    )
    .withPanel(
      graph({
        title: 'Time to first token, 95th percentile',
        description: 'Rises before latency does when Claude is busy.',
        unit: 's',
        queries: { '{{model}}': p95('claude_time_to_first_token_seconds', 'model') },
      }),
    )
    .withPanel(
      graph({
        title: 'Output tokens a request',
        description: 'Long answers take long: compare with latency.',
        unit: 'short',
        queries: {
          '{{model}}': `sum by (model) (rate(claude_tokens_total{${mode}, kind="output"}[$__rate_interval])) / sum by (model) (rate(claude_requests_total{${mode}}[$__rate_interval]))`,
        },
      }),
    )
    .withPanel(
      graph({
        title: '429 and 529 a minute',
        description: 'model_rate_limited is 429; model_overloaded is 529 and other 5xx.',
        unit: 'none',
        queries: {
          '{{model}} {{outcome}}': `${requests('model, outcome', ', outcome=~"model_rate_limited|model_overloaded"')} > 0`,
        },
      }),
    )
    .withPanel(
      graph({
        title: 'Failed requests a minute by code',
        description: 'What each code means: translate() in platform/model.ts.',
        unit: 'none',
        queries: { '{{outcome}}': `${requests('outcome', ', outcome=~"model_.*"')} > 0` },
      }),
    )
    .withPanel(
      graph({
        title: 'Fallbacks a minute',
        description: 'Agents that went on with the next smaller model.',
        unit: 'none',
        queries: {
          '{{from}} to {{to}}': `sum by (from, to) (rate(agent_fallbacks_total{${mode}}[$__rate_interval])) * 60`,
        },
      }),
    )
    .build()
}
