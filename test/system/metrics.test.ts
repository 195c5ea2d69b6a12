/**
 * What an operator sees of a dozen orders with different ends, on real processes: metrics that equal
 * the answers and the database, and logs that say whose line it is and nothing that they must not.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type Family, parseMetrics, seriesOf, sumOf } from '../support/metrics-text.ts'
import { waitFor } from '../support/wait-for.ts'
import { postJson } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const portOffset = 22_100
const command = resolve(import.meta.dirname, '../../launcher/command-main.ts')
const testMs = 120_000
const traceIdPattern = /^[0-9a-f]{32}$/

/** Words that no line of any process may hold. Each is found nowhere else. */
const canaries = {
  name: 'Canaria Namensvogel',
  email: 'canary.mail@example.com',
  street: '77 Canary Street',
  note: 'canary-note: ring twice at the yellow door',
  recipient: 'Receiver Canarini',
  otherStreet: '88 Finch Lane',
  stranger: 'Stranger Canarosa',
  carrierKey: 'EZTKcanary0carrier0key',
  claudeKey: 'sk-ant-canary-0123456789',
  wrongToken: 'canary.token.that-is-none',
  wrongSecret: 'baton_secret_canary-wrong',
  query: 'canary-in-a-query',
}
const customer = { name: canaries.name }
const mugs = (quantity: number) => [{ sku: 'ABC123', quantity }]
const elsewhere = {
  ...{ name: canaries.recipient, street1: canaries.otherStreet, city: 'Springfield' },
  ...{ region: 'IL', postalCode: '62701', country: 'US' },
}

/** Body and the outcome that it ends with; undefined where it depends on a race. */
const orders: readonly (readonly [object, string | undefined])[] = [
  [{ sku: 'ABC123', qty: 1, customer: canaries.name }, 'fulfilled'],
  [{ lines: mugs(2), customer, note: canaries.note }, undefined],
  [{ lines: mugs(1), customer, shipTo: elsewhere }, 'fulfilled'],
  [{ lines: [...mugs(1), { sku: 'DEF457', quantity: 1 }], customer }, 'fulfilled'],
  [{ sku: 'DEF457', qty: 1, customer: 'Max Mustermann' }, 'fulfilled'],
  [{ sku: 'GHI789', qty: 1, customer: canaries.name }, 'backordered'],
  [{ lines: [...mugs(1), { sku: 'DEF456', quantity: 5 }], customer }, 'backordered'],
  [{ sku: 'JKL012', qty: 1, customer: canaries.name }, 'rejected'],
  [{ sku: 'ABC123', qty: 1, customer: 'Jane Roe' }, 'rejected'],
  [{ sku: 'ABC123', qty: 1, customer: canaries.stranger }, 'rejected'],
  [{ sku: 'MNO345', qty: 1, customer: canaries.name }, 'held'],
  [{ lines: mugs(1), customer, shipTo: { ...elsewhere, street1: '1 REFUSED Street' } }, 'held'],
  [{ sku: 'ABC123', qty: 1, customer: 'Sam Smith' }, undefined],
]

interface Answer {
  readonly orderId: string
  readonly status: string
  readonly traceId: string
  readonly costUsd: string
  readonly usage: Readonly<Record<string, number>>
}

describe('what an operator sees, two orchestrators with auth', () => {
  let t: TestPlatform
  const tokens: string[] = []
  let secret = ''
  const answers: Answer[] = []

  const bearer = () => ({
    authorization: `Bearer ${tokens.at(-1)}`,
    'content-type': 'application/json',
  })
  const orchestrators = () => [
    t.platform.urls.orchestrator,
    t.platform.urls['orchestrator-2'] ?? '',
  ]
  const processes = () => [
    ...orchestrators(),
    ...[t.platform.urls.order, t.platform.urls.inventory, t.platform.urls.fulfillment],
  ]
  const send = async (url: string, init: RequestInit = {}) => {
    const response = await fetch(url, { headers: bearer(), ...init })
    const text = await response.text()
    return { status: response.status, text }
  }
  const read = async (orderId: string) =>
    JSON.parse((await send(`${orchestrators()[1]}/orders/${orderId}`)).text) as Answer
  const scrape = async (url: string) => {
    const headers = { accept: 'application/openmetrics-text' }
    return parseMetrics(await (await fetch(`${url}/metrics`, { headers })).text(), 'openmetrics')
  }
  const scrapeAll = () => Promise.all(processes().map(scrape))

  before(async () => {
    const orchestrator = { AUTH: 'on', STEP_BACKOFF_MIN_MS: '20', STEP_BACKOFF_MAX_MS: '100' }
    const keyed = { ANTHROPIC_API_KEY: canaries.claudeKey, MODEL_BACKOFF_MIN_MS: '20' }
    t = await startTestPlatform(portOffset, {
      orchestrators: 2,
      logLevel: 'debug',
      env: {
        orchestrator: { ...orchestrator, ...keyed },
        'orchestrator-2': { ...orchestrator, ...keyed },
        order: keyed,
        inventory: { ...keyed, STOCK_METRIC_SKUS: 'ABC123,GHI789' },
        fulfillment: { ...keyed, CARRIER_API_KEY: canaries.carrierKey },
      },
    })
    await addCustomer()
    await register()
  })
  // One lives for two minutes.
  beforeEach(async () => {
    tokens.push(await askForToken(secret))
  })
  after(() => t[Symbol.asyncDispose]())

  async function addCustomer(): Promise<void> {
    await t.rows(
      'orders',
      `insert into customer (id, name, email, status, customer_since)
       values ('canary', $1, $2, 'active', '2024-01-01')`,
      [canaries.name, canaries.email],
    )
    await t.rows(
      'orders',
      `insert into customer_address
         (customer_id, name, street1, street2, city, region, postal_code, country)
       values ('canary', $1, $2, null, 'Springfield', 'IL', '62701', 'US')`,
      [canaries.name, canaries.street],
    )
  }

  async function register(): Promise<void> {
    const scopes = 'orders:submit orders:read orders:cancel'
    const args = ['orchestrator/clients.ts', 'add', 'shop', '--scopes', scopes.replaceAll(' ', ',')]
    const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], {
      env: {
        PATH: process.env.PATH ?? '',
        DATABASE_URL: t.platform.databaseUrls.orchestrator,
        KEY_ENCRYPTION_KEY_FILE: t.keyEncryptionKeyFile,
      },
    })
    secret = /baton_secret_\S+/.exec(stdout)?.[0] ?? ''
  }

  async function askForToken(clientSecret: string): Promise<string> {
    const basic = Buffer.from(`shop:${clientSecret}`).toString('base64')
    const response = await fetch(`${orchestrators()[0]}/oauth/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    })
    const answer = (await response.json()) as { access_token?: string }
    return answer.access_token ?? ''
  }

  async function submit(body: object, nth: number, prefer = 'wait=60'): Promise<Answer> {
    const { status, text } = await send(`${orchestrators()[nth % 2]}/orchestrate`, {
      method: 'POST',
      headers: { ...bearer(), prefer },
      body: JSON.stringify(body),
    })
    assert.ok(status === 200 || status === 202, text)
    return JSON.parse(text) as Answer
  }

  it('takes a dozen orders to their ends', { timeout: testMs }, async () => {
    // A model that is overloaded for a moment: asked again, and paid once.
    const faults = [{ kind: 'status', status: 529, model: 'haiku', times: 2 }]
    await postJson(`${t.platform.urls['claude-standin']}/faults`, { faults })
    for (const [nth, [body, outcome]] of orders.entries()) {
      const answer = await submit(body, nth)
      if (outcome !== undefined) assert.equal(answer.status, outcome, JSON.stringify(answer))
      answers.push(answer)
    }
    const many = Array.from({ length: 4 }, (_, nth) =>
      submit({ sku: 'ABC123', qty: 1, customer: canaries.name }, nth, 'respond-async'),
    )
    const [cancelled, ...others] = await Promise.all(many)
    assert.ok(cancelled !== undefined)
    await send(`${orchestrators()[1]}/orders/${cancelled.orderId}/cancel`, {
      ...{ method: 'POST', headers: bearer(), body: '{}' },
    })
    for (const { orderId } of [cancelled, ...others]) {
      await waitFor(async () => (await read(orderId)).status !== 'running', {
        ...{ timeoutMs: 60_000, what: `the end of ${orderId}` },
      })
      answers.push(await read(orderId))
    }
    // As it is now: a step of an end may have been told of after it.
    for (const [nth, { orderId }] of answers.entries()) answers[nth] = await read(orderId)
  })

  it('shows what the answers say: every token and every nano-USD', async () => {
    const all = await scrapeAll()
    const used = (kind: string) => sum(answers.map(({ usage }) => usage[kind] ?? NaN))
    const counted = (kind: string) => sum(all.map((one) => sumOf(one, 'claude_tokens', { kind })))

    for (const kind of ['outputTokens', 'cacheReadTokens', 'cacheWrite5mTokens']) {
      assert.ok(used(kind) > 0, kind)
    }
    assert.equal(counted('input'), used('inputTokens'))
    assert.equal(counted('output'), used('outputTokens'))
    assert.equal(counted('cache_read'), used('cacheReadTokens'))
    assert.equal(counted('cache_write'), used('cacheWrite5mTokens') + used('cacheWrite1hTokens'))

    const samples = all.flatMap((one) => one.get('claude_cost_usd')?.samples ?? [])
    const nanoUsd = sum(samples.map(({ value }) => nanoOf(String(value))))
    assert.ok(nanoUsd > 0)
    assert.equal(nanoUsd, sum(answers.map(({ costUsd }) => nanoOf(costUsd))))
    for (const { labels } of samples) assert.equal(labels.mode, 'standin')
    const failed = all.map((one) => sumOf(one, 'claude_requests', { outcome: 'model_overloaded' }))
    assert.equal(sum(failed), 2)
  })

  it('counts the ends of orders as the database does', async () => {
    const all = await scrapeAll()
    const rows = await t.rows<{ status: string; n: number }>(
      'orchestrator',
      `select data ->> 'status' as status, count(*)::int as n from order_event
        where type = 'order_finished' group by 1`,
    )

    const inDatabase = new Map(rows.map(({ status, n }) => [status, n]))
    assert.equal(sum([...inDatabase.values()]), answers.length)
    for (const outcome of ['fulfilled', 'rejected', 'backordered', 'held', 'cancelled', 'stuck']) {
      const counted = sum(all.map((one) => sumOf(one, 'orders', { outcome })))
      assert.equal(counted, inDatabase.get(outcome) ?? 0, outcome)
      const { length } = answers.filter(({ status }) => status === outcome)
      assert.equal(counted, length, outcome)
      const timed = all.flatMap((one) => one.get('order_duration_seconds')?.samples ?? [])
      const durations = timed.filter(
        ({ name, labels }) => name.endsWith('_count') && labels.outcome === outcome,
      )
      assert.equal(sum(durations.map(({ value }) => value)), counted)
    }
  })

  it('shows where orders and connections stand, and the stock that was asked for', async () => {
    const [first, second, , inventory] = await scrapeAll()
    for (const one of [first, second]) {
      for (const name of ['orders_in_flight', 'orders_queued', 'order_queue_age_seconds']) {
        assert.deepEqual([name, one?.get(name)?.samples[0]?.value], [name, 0])
      }
      const pools = one?.get('postgres_pool_connections')?.samples.map(({ labels }) => labels.pool)
      assert.deepEqual([...new Set(pools)].sort(), ['engine', 'lease', 'service'])
    }
    const stock = await t.rows<{ sku: string; available: number }>(
      'inventory',
      `select sku, available::int from stock where sku in ('ABC123', 'GHI789') order by sku`,
    )
    assert.deepEqual(
      inventory?.get('stock_units')?.samples.map(({ labels, value }) => [labels.sku, value]),
      stock.map(({ sku, available }) => [sku, available]),
    )
  })

  it('leads from a duration to the trace of an order', async () => {
    const traces = new Set(answers.map(({ traceId }) => traceId))
    const tracesOf = (families: ReadonlyMap<string, Family>, name: string) =>
      (families.get(name)?.samples ?? []).flatMap(({ exemplar }) => exemplar?.trace_id ?? [])
    const [first, second, order, inventory, fulfillment] = await scrapeAll()
    const shown: readonly (readonly [typeof first, string])[] = [
      ...[first, second].map((one) => [one, 'order_duration_seconds'] as const),
      ...[first, second].map((one) => [one, 'mcp_client_duration_seconds'] as const),
      ...[first, order, inventory, fulfillment].flatMap((one) => [
        [one, 'claude_request_duration_seconds'] as const,
        [one, 'claude_time_to_first_token_seconds'] as const,
      ]),
      ...[order, inventory, fulfillment].map((one) => [one, 'mcp_tool_duration_seconds'] as const),
    ]
    for (const [families, name] of shown) {
      const found = families === undefined ? [] : tracesOf(families, name)
      assert.ok(found.length > 0, name)
      for (const traceId of found) assert.ok(traces.has(traceId), `${name} ${traceId}`)
    }
  })

  it('makes no new series of whatever ids come in', { timeout: testMs }, async () => {
    await knockEverywhere()
    const before = (await scrapeAll()).map(seriesOf)

    for (let round = 0; round < 15; round++) await knockEverywhere()

    assert.deepEqual((await scrapeAll()).map(seriesOf), before)
    const [first] = await scrapeAll()
    for (const reason of [
      'missing_token',
      'invalid_token',
      'invalid_client',
      'insufficient_scope',
    ]) {
      assert.ok(first !== undefined && sumOf(first, 'auth_refusals', { reason }) > 0, reason)
    }
  })

  /** Requests of every kind that name ids, clients and words that nobody knows, at every process. */
  async function knockEverywhere(): Promise<void> {
    const id = randomUUID()
    const json = {
      method: 'POST',
      headers: bearer(),
      body: JSON.stringify({ [id]: canaries.note }),
    }
    const unknown = { authorization: `Bearer ${canaries.wrongToken}` }
    await Promise.all(
      processes().flatMap((url) => [
        send(`${url}/${id}?secret=${canaries.query}`),
        send(`${url}/invoke/tool-${id}`, json),
        send(`${url}/tools`, { headers: {} }),
        send(`${url}/tools`, { headers: unknown }),
        send(`${url}/mcp`, json),
      ]),
    )
    const [url = ''] = orchestrators()
    await send(`${url}/orders/${id}`)
    await send(`${url}/orders/${id}/approve`, json)
    await send(`${url}/labels/${id}.pdf?key=${canaries.query}`)
    await send(`${url}/orchestrate`, json)
    await send(`${url}/orchestrate`, { ...json, headers: { ...bearer(), 'idempotency-key': id } })
    const login = { grant_type: 'client_credentials', client_id: id }
    const body = new URLSearchParams({ ...login, client_secret: canaries.wrongSecret })
    await send(`${url}/oauth/token`, { method: 'POST', headers: {}, body })
    await send(`${url}/oauth/token?x=${canaries.query}`, { method: 'POST', headers: {} })
  }

  it('logs one JSON object a line, which says whose it is', () => {
    const ids = new Map(answers.map(({ orderId, traceId }) => [orderId, traceId]))
    const ended = new Set<string>()
    for (const entry of entries()) {
      for (const name of ['level', 'time', 'service', 'msg']) {
        assert.ok(name in entry.fields, `no ${name}: ${entry.line}`)
      }
      const { orderId, traceId, msg } = entry.fields
      const mentioned = [...ids.keys()].filter((one) => entry.line.includes(one))
      if (mentioned.length === 0) continue
      assert.ok(mentioned.includes(String(orderId)), `of which order? ${entry.line}`)
      assert.match(String(traceId), traceIdPattern, entry.line)
      if (msg !== 'order ended') continue
      assert.equal(traceId, ids.get(String(orderId)))
      ended.add(String(orderId))
    }
    assert.deepEqual([...ended].sort(), [...ids.keys()].sort())
    const failed = entries().filter(({ fields }) => fields.msg === 'step attempt failed')
    for (const { fields, line } of failed) {
      assert.ok(typeof fields.step === 'string' && typeof fields.attempt === 'number', line)
    }
  })

  it('logs no name, note, address, token, secret or key', async () => {
    const passwords = Object.values(t.platform.databaseUrls).map((url) => new URL(url).password)
    const secrets = {
      ...canaries,
      secret,
      ...Object.fromEntries(tokens.map((token, i) => [`token ${i}`, token.split('.')[2] ?? ''])),
      basic: Buffer.from(`shop:${secret}`).toString('base64'),
      encryptionKey: (await readFile(t.keyEncryptionKeyFile, 'utf8')).trim(),
      ...Object.fromEntries(passwords.filter(Boolean).map((word, i) => [`password ${i}`, word])),
    }
    assert.ok(t.logs.length > 200, `${t.logs.length} lines`)
    for (const [what, word] of Object.entries(secrets)) {
      assert.ok(word.length > 5, what)
      const lines = t.logs.filter((line) => line.toLowerCase().includes(word.toLowerCase()))
      assert.deepEqual(lines.slice(0, 3), [], what)
    }
  })

  function entries(): { line: string; fields: Record<string, unknown> }[] {
    return t.logs.map((logged) => {
      const line = logged.slice(logged.indexOf(' ') + 1)
      try {
        return { line, fields: JSON.parse(line) as Record<string, unknown> }
      } catch {
        throw new Error(`Not JSON: ${logged}`)
      }
    })
  }
})

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Exact: `0.0012345` is 1 234 500. A very small number is printed with an exponent. */
function nanoOf(usd: string): number {
  if (usd.includes('e')) return Math.round(Number(usd) * 1e9)
  const [whole = '0', fraction = ''] = usd.split('.')
  assert.ok(fraction.length <= 9, usd)
  return Number(whole) * 1e9 + Number(fraction.padEnd(9, '0'))
}
