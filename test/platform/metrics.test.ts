/** What /metrics shows: names, labels, what is there from the start, both formats, and no ids. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { createOrderMetrics } from '../../orchestrator/metrics.ts'
import { denied, unavailable } from '../../platform/errors.ts'
import { agentOutcomes, authRefusalReasons } from '../../platform/metric-labels.ts'
import { asksForOpenMetrics, toClassicText } from '../../platform/metric-text.ts'
import { createMetrics, type Metrics } from '../../platform/metrics.ts'
import { createModel } from '../../platform/model.ts'
import { readPrices } from '../../platform/prices.ts'
import { scraped } from '../../platform/scraped.ts'
import { defineTool, implement, readsOnly, writesOnce } from '../../platform/tool.ts'
import { newTraceId } from '../../platform/tracing.ts'
import { inWork } from '../../platform/work.ts'
import { showStock, stockMetricConfig } from '../../services/inventory/stock-metric.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { postMcp, postToolCall } from '../support/mcp-request.ts'
import { type Format, parseMetrics, seriesOf, sumOf } from '../support/metrics-text.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'

const acceptOf = { openmetrics: 'application/openmetrics-text;version=1.0.0', classic: '*/*' }

const parsed = async (metrics: Metrics, format: Format = 'openmetrics') =>
  parseMetrics((await metrics.render(acceptOf[format])).text, format)

/** An orchestrator's, as its process makes them. */
function orchestratorMetrics() {
  const metrics = createMetrics('orchestrator')
  const orders = createOrderMetrics(metrics)
  createModel({ CLAUDE_MODE: 'standin', CLAUDE_URL: 'http://a.example' }, readPrices(), metrics)
  return { metrics, orders }
}

describe('metrics', () => {
  it('have the names and labels that dashboards and alerts know', async () => {
    const { metrics, orders } = orchestratorMetrics()
    const model = { model: 'claude-haiku-5-5', mode: 'standin' }
    metrics.claudeRequests.inc({ ...model, outcome: 'refusal' })
    metrics.claudeDuration.observe(model, 1)
    metrics.claudeFirstToken.observe(model, 0.5)
    metrics.agentTurns.observe({ mode: 'standin' }, 2)
    metrics.agentFallbacks.inc({ from: 'a', to: 'b', mode: 'standin' })
    metrics.expectTools('order', ['open_order'])
    metrics.toolDuration.observe({ server: 'order', tool: 'open_order' }, 0.1)
    metrics.clientDuration.observe({ server: 'order', tool: 'open_order' }, 0.1)
    metrics.listenReconnects.inc({ channel: 'order_event' })
    metrics.watchPool('service', { totalCount: 3, idleCount: 1, waitingCount: 4 })
    const waiting = async () => ({ queued: 2, queueAgeSeconds: 7.5, stuck: 1 })
    orders.watchOrders({ inFlight: () => 5, waiting })

    const families = await parsed(metrics, 'classic')

    const labelsOf = (name: string) => {
      const labels = families.get(name)?.samples.at(-1)?.labels ?? { missing: '' }
      return Object.keys(labels).sort().join()
    }
    for (const [name, labels] of Object.entries({
      claude_tokens_total: 'kind,mode,model,service',
      claude_cost_usd_total: 'mode,model,service',
      claude_requests_total: 'mode,model,outcome,service',
      claude_request_duration_seconds: 'mode,model,service',
      claude_time_to_first_token_seconds: 'mode,model,service',
      agent_turns: 'mode,service',
      agent_outcomes_total: 'mode,outcome,service',
      agent_fallbacks_total: 'from,mode,service,to',
      mcp_tool_calls_total: 'outcome,server,service,tool',
      mcp_tool_duration_seconds: 'server,service,tool',
      mcp_client_duration_seconds: 'server,service,tool',
      orders_total: 'outcome,service',
      order_duration_seconds: 'outcome,service',
      orders_in_flight: 'service',
      orders_queued: 'service',
      order_queue_age_seconds: 'service',
      orders_stuck: 'service',
      workflow_recoveries_total: 'service',
      signing_key_rotations_total: 'service',
      circuit_breaker_state: 'dependency,service',
      auth_refusals_total: 'reason,service',
      tool_call_rows_dropped_total: 'service',
      postgres_listen_reconnects_total: 'channel,service',
      postgres_pool_connections: 'pool,service,state',
      process_cpu_seconds_total: 'service',
      process_resident_memory_bytes: 'service',
      nodejs_eventloop_lag_p99_seconds: 'service',
    })) {
      assert.equal(labelsOf(name), labels, name)
    }
    assert.equal(sumOf(families, 'orders_in_flight'), 5)
    assert.equal(sumOf(families, 'order_queue_age_seconds'), 7.5)
    assert.equal(sumOf(families, 'postgres_pool_connections', { state: 'busy' }), 2)
    assert.equal(sumOf(families, 'postgres_pool_connections', { state: 'waiting' }), 4)
  })

  it('are there as 0 where an alert asks for them, before anything has happened', async () => {
    const { metrics } = orchestratorMetrics()
    metrics.onBreakerChange('order')
    metrics.expectTools('orchestrator', ['cancel_order'])

    const families = await parsed(metrics)

    const shown = (name: string, label: string) => {
      const samples = families.get(name)?.samples ?? []
      for (const { value } of samples) assert.equal(value, 0, name)
      return new Set(samples.map(({ labels }) => labels[label]))
    }
    const models = Object.keys(readPrices().models)
    assert.deepEqual(shown('auth_refusals', 'reason'), new Set(authRefusalReasons))
    assert.deepEqual(shown('agent_outcomes', 'outcome'), new Set(agentOutcomes))
    assert.deepEqual(
      shown('orders', 'outcome'),
      new Set(['fulfilled', 'rejected', 'backordered', 'held', 'cancelled', 'stuck']),
    )
    assert.deepEqual(shown('circuit_breaker_state', 'dependency'), new Set([...models, 'order']))
    assert.deepEqual(shown('claude_cost_usd', 'model'), new Set(models))
    assert.ok(shown('claude_requests', 'outcome').has('model_rate_limited'))
    assert.ok(shown('mcp_tool_calls', 'outcome').has('unavailable'))
    assert.equal(families.get('workflow_recoveries')?.samples.length, 1)
  })

  it('have buckets up to the longest model call and the longest order', async () => {
    const { metrics, orders } = orchestratorMetrics()
    const model = { model: 'claude-opus-5-5', mode: 'live' }
    metrics.claudeDuration.observe(model, 59)
    metrics.claudeFirstToken.observe(model, 3)
    orders.ended('fulfilled', 590_000)

    const families = await parsed(metrics)

    const lastFinite = (name: string) =>
      Math.max(
        ...(families.get(name)?.samples ?? [])
          .map(({ labels }) => Number(labels.le ?? 0))
          .filter(Number.isFinite),
      )
    assert.equal(lastFinite('claude_request_duration_seconds'), 60)
    assert.equal(lastFinite('claude_time_to_first_token_seconds'), 60)
    assert.equal(lastFinite('order_duration_seconds'), 600)
  })

  it('add up cost without a rounding, however often', async () => {
    const metrics = createMetrics('test')
    const labels = { model: 'claude-haiku-5-5', mode: 'standin' }
    for (let i = 0; i < 100_000; i++) metrics.claudeCost.add(labels, 1_234_567 + (i % 7))

    const exact = Array.from({ length: 100_000 }, (_, i) => 1_234_567 + (i % 7))
    const nanoUsd = exact.reduce((sum, one) => sum + one, 0)
    const shown = sumOf(await parsed(metrics), 'claude_cost_usd')
    assert.equal(Math.round(shown * 1e9), nanoUsd)
    assert.equal(shown, nanoUsd / 1e9)
  })

  it('count a refusal that nobody listed as other', async () => {
    const metrics = createMetrics('test')
    const before = seriesOf(await parsed(metrics)).length

    for (const code of ['invalid_token', randomUUID(), 'toString', '']) metrics.refused(code)

    const families = await parsed(metrics)
    assert.equal(seriesOf(families).length, before)
    assert.equal(sumOf(families, 'auth_refusals', { reason: 'invalid_token' }), 1)
    assert.equal(sumOf(families, 'auth_refusals', { reason: 'other' }), 3)
  })
})

describe('the text of metrics', () => {
  it('carries the trace of an observation in OpenMetrics, and reads as the classic text besides', async () => {
    const metrics = createMetrics('test')
    const [ours, theirs] = [newTraceId(), newTraceId()]
    const labels = { server: 'order', tool: 'open_order' }
    inWork({ traceId: ours }, () => metrics.clientDuration.observe(labels, 0.02))
    metrics.clientDuration.observe(labels, 7, theirs)
    metrics.clientDuration.observe(labels, 0.3)

    for (const again of [1, 2]) {
      const open = await parsed(metrics, 'openmetrics')
      const classic = await parsed(metrics, 'classic')

      const exemplars = (open.get('mcp_client_duration_seconds')?.samples ?? []).flatMap(
        ({ labels: { le }, exemplar }) => (exemplar === undefined ? [] : [[le, exemplar.trace_id]]),
      )
      assert.deepEqual(exemplars, [
        ['0.025', ours],
        ['10', theirs],
      ])
      const namesOf = (families: typeof open) =>
        [...families.values()].map(({ name, type }) =>
          type === 'counter' ? name.replace(/_total$/, '') : name,
        )
      assert.deepEqual(namesOf(classic), namesOf(open), `scrape ${again}`)
      assert.deepEqual(seriesOf(classic), seriesOf(open))
    }
  })

  it('is OpenMetrics only for who asks for it', async () => {
    const prometheus =
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
    assert.equal(asksForOpenMetrics(prometheus), true)
    for (const accept of [
      undefined,
      '',
      '*/*',
      'text/plain',
      'application/openmetrics-text; q=0',
    ]) {
      assert.equal(asksForOpenMetrics(accept), false, accept)
    }
  })

  it('keeps what a label says when an exemplar is taken away', () => {
    const line = 'a_bucket{le="1",x="# {y}"} 1 # {trace_id="t"} 0.5 1700000000.1'

    assert.equal(toClassicText(line), 'a_bucket{le="1",x="# {y}"} 1')
  })
})

describe('what a scrape reads from a database', () => {
  it('is read once for all who ask, and again only after a while', async () => {
    let reads = 0
    let nowMs = 0
    const read = scraped(async () => ++reads, { cacheMs: 100, nowMs: () => nowMs })

    assert.deepEqual(await Promise.all([read(), read(), read()]), [1, 1, 1])
    nowMs = 99
    assert.equal(await read(), 1)
    nowMs = 100
    assert.equal(await read(), 2)
  })

  it('is absent when it fails or takes too long, and back when the database is', async () => {
    const gate = Promise.withResolvers<number>()
    const answers = [() => Promise.reject(unavailable('away', 'Away')), () => gate.promise]
    const read = scraped(() => (answers.shift() ?? (async () => 3))(), {
      cacheMs: 0,
      timeoutMs: 20,
    })

    assert.equal(await read(), undefined)
    assert.equal(await read(), undefined)
    gate.resolve(2)
    assert.equal(await read(), 2, 'the reading that was under way')
    assert.equal(await read(), 3)
  })
})

describe('units of stock', () => {
  let db: TestDatabase
  before(async () => {
    db = await testDatabase('services/inventory/migrations')
    await db.query(`insert into stock (sku, name) values ('mug', 'Mug'), ('cup', 'Cup')`)
    await db.query(
      `insert into stock_adjustment (request_id, sku, quantity, available_after, reason, adjusted_by)
       values (gen_random_uuid(), 'mug', 7, 7, 'count', 'test');
       update stock set available = 7, adjusted = 7 where sku = 'mug'`,
    )
  })
  after(() => db[Symbol.asyncDispose]())

  const skusOf = (text?: string) =>
    stockMetricConfig.parse(text === undefined ? {} : { STOCK_METRIC_SKUS: text }).STOCK_METRIC_SKUS

  it('are shown for the skus that the operator names, and for no other', async () => {
    const metrics = createMetrics('inventory')
    showStock(metrics, db, skusOf('mug, mug,none-such'))

    const samples = (await parsed(metrics)).get('stock_units')?.samples ?? []

    assert.deepEqual(
      samples.map(({ labels, value }) => [labels.sku, value]),
      [['mug', 7]],
    )
  })

  it('are not shown by default, and fifty skus are the most', async () => {
    const metrics = createMetrics('inventory')
    showStock(metrics, db, skusOf())

    assert.deepEqual((await parsed(metrics)).get('stock_units')?.samples, [])
    assert.throws(() => skusOf(Array.from({ length: 51 }, (_, i) => `sku-${i}`).join()))
    assert.throws(() => skusOf('no sku at all'))
  })
})

const look = defineTool({
  ...{ name: 'look_up', version: 2, scope: 'things:read', bound: 'none', annotations: readsOnly },
  description: 'Look something up.',
  input: z.object({ word: z.string().max(100) }),
  output: z.object({ found: z.boolean() }),
})
const keep = defineTool({
  ...{ name: 'keep_thing', version: 1, scope: 'things:write', bound: 'order' },
  annotations: writesOnce,
  description: 'Keep something for an order.',
  input: z.object({ orderId: z.uuid(), word: z.string().max(100) }),
  output: z.object({ kept: z.literal(true) }),
})

describe('the doors of a process', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const tools = [
      implement(look, async ({ word }) => {
        if (word.startsWith('deny')) throw denied(word, `You cannot have ${word}`)
        return { found: true }
      }),
      implement(keep, async () => ({ kept: true as const })),
    ]
    server = await testServer({ db, issuer, primitives: { tools }, rate: [100_000, 100_000] })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  const scrape = async (format: Format) => {
    const response = await fetch(`${server.url}/metrics`, {
      headers: { accept: acceptOf[format] },
    })
    const type = response.headers.get('content-type') ?? ''
    assert.match(type, format === 'classic' ? /^text\/plain; version=0\.0\.4/ : /openmetrics-text/)
    return parseMetrics(await response.text(), format)
  }
  const headersOf = (token: string) => ({
    ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    traceparent: `00-${newTraceId()}-${newTraceId().slice(16)}-01`,
  })
  const sign = (clientId: string, scope: string, orderId?: string) =>
    issuer.sign({ audience: server.url, clientId, scope, ...(orderId && { orderId }) })
  const invoke = async (tool: string, body: object, token: string) => {
    const init = { method: 'POST', headers: headersOf(token), body: JSON.stringify(body) }
    await (await fetch(`${server.url}/invoke/${tool}`, init)).arrayBuffer()
  }

  /** One of every kind of request, with ids, names and words that nobody sent before. */
  async function askEverything(): Promise<void> {
    const [a, b] = [randomUUID(), randomUUID()]
    const [reads, writes] = [await sign(a, 'things:read'), await sign(a, 'things:write', b)]
    const read = (response: Promise<Response>) => response.then((r) => r.arrayBuffer())
    await Promise.all([
      invoke('look_up', { word: a }, reads),
      invoke('look_up', { word: `deny_${a}` }, reads),
      invoke('keep_thing', { orderId: b, word: a }, writes),
      invoke('keep_thing', { orderId: a, word: a }, await sign(a, 'things:write', b)),
      invoke('keep_thing', { orderId: b, word: a }, reads),
      invoke(`tool-${a}`, {}, reads),
      invoke('look_up', { [a]: b }, reads),
      invoke('look_up', { word: a }, a),
      read(fetch(`${server.url}/${a}?token=${b}`)),
      read(fetch(`${server.url}/tools`, { headers: { authorization: `Bearer ${a}.${b}.x` } })),
      read(postToolCall(server.url, 'look_up', { word: a }, reads)),
      read(postToolCall(server.url, `tool-${a}`, { word: a }, reads)),
      read(postToolCall(server.url, 'keep_thing', { orderId: b, word: a }, reads)),
      read(postToolCall(server.url, 'look_up', { word: a })),
      read(
        postMcp(server.url, {
          method: 'resources/read',
          params: { uri: `x://${a}` },
          token: reads,
        }),
      ),
      read(postMcp(server.url, { method: `m/${a}`, token: reads })),
      read(postMcp(server.url, { method: 'prompts/get', params: { name: a }, token: reads })),
      read(
        fetch(`${server.url}/invoke`, {
          method: 'POST',
          headers: headersOf(reads),
          body: `"${a}"`,
        }),
      ),
    ])
    // The same token twice.
    await invoke('keep_thing', { orderId: b, word: a }, writes)
  }

  it('make no new series, whatever ids and names come in', { timeout: 60_000 }, async () => {
    await askEverything()
    const before = seriesOf(await scrape('openmetrics'))

    for (let round = 0; round < 60; round++) await askEverything()

    const families = await scrape('openmetrics')
    assert.deepEqual(seriesOf(families), before)
    assert.ok(sumOf(families, 'mcp_tool_calls', { outcome: 'ok' }) >= 120)
    for (const reason of [
      'missing_token',
      'invalid_token',
      'insufficient_scope',
      'token_replayed',
    ]) {
      assert.ok(sumOf(families, 'auth_refusals', { reason }) >= 60, reason)
    }
    assert.ok(sumOf(families, 'auth_refusals', { reason: 'order_not_bound' }) >= 60)
    assert.equal(sumOf(families, 'auth_refusals', { reason: 'other' }), 0)
    const hasId = before.filter((line) => /[0-9a-f]{8}-[0-9a-f]{4}-|deny_/.test(line))
    assert.deepEqual(hasId, [])
  })

  it('show the trace of a call where the scraper reads OpenMetrics, and no trace elsewhere', async () => {
    const token = await sign('kim', 'things:read')
    const traceId = newTraceId()
    const headers = { ...headersOf(token), traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
    const body = JSON.stringify({ word: 'mug' })
    await fetch(`${server.url}/invoke/look_up`, { method: 'POST', headers, body })

    const open = (await scrape('openmetrics')).get('mcp_tool_duration_seconds')?.samples ?? []
    const classic = (await scrape('classic')).get('mcp_tool_duration_seconds')?.samples ?? []

    const traces = open.map(({ exemplar }) => exemplar?.trace_id)
    assert.ok(traces.includes(traceId), traces.join())
    assert.ok(classic.length > 0)
  })
})
