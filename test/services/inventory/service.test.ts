import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { readConfig } from '../../../platform/config.ts'
import { type Authorize, createMcpCaller } from '../../../platform/mcp-client.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import type { RunningProcess } from '../../../platform/process.ts'
import { newTraceId } from '../../../platform/tracing.ts'
import * as contract from '../../../services/inventory/contract.ts'
import { inventoryConfig, startInventory } from '../../../services/inventory/service.ts'
import { createClaudeStandin } from '../../../standins/claude/app.ts'
import { testDatabase } from '../../support/database.ts'
import { freePort } from '../../support/free-port.ts'
import { postToolCall } from '../../support/mcp-request.ts'
import { type TestIssuer, testIssuer } from '../../support/test-issuer.ts'
import { assertBooksBalance, unitsOf } from './stock-of.ts'

describe('the inventory service', () => {
  let db: Awaited<ReturnType<typeof testDatabase>>
  let issuer: TestIssuer
  const claude = createClaudeStandin()
  let service: RunningProcess
  let url: string

  before(async () => {
    db = await testDatabase()
    issuer = await testIssuer()
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    const env = {
      PORT: String(port),
      LOG_LEVEL: 'silent',
      DATABASE_URL: db.url,
      ISSUER_URL: issuer.url,
      RESOURCE_URL: url,
      SEED_DEMO: 'true',
      CLAUDE_MODE: 'standin',
      CLAUDE_URL: await claude.listen({ host: '127.0.0.1', port: 0 }),
      MODEL_ATTEMPTS_MAX: '1',
    }
    service = await startInventory(readConfig(inventoryConfig, env))
  })
  after(async () => {
    await service.stop()
    await claude.close()
    await issuer[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })

  let orderId: string
  beforeEach(() => {
    orderId = randomUUID()
  })

  const caller = (authorize: Authorize = issuer.authorize(url)) => {
    const mcp = createMcpCaller({
      server: 'inventory',
      baseUrl: url,
      authorize,
      metrics: createMetrics('test'),
    })
    const options = () => ({ timeoutMs: 5_000, traceId: newTraceId(), orderId })
    return {
      reserve: (sku: string, quantity: number) =>
        mcp.call(
          contract.reserveStock,
          { orderId, round: 1, lines: [{ sku, quantity }] },
          options(),
        ),
      release: () => mcp.call(contract.releaseStock, { orderId, round: 1 }, options()),
      commit: () => mcp.call(contract.commitStock, { orderId, round: 1 }, options()),
      check: (sku: string, quantity: number) =>
        mcp.call(
          contract.checkInventory,
          { orderId, round: 1, lines: [{ sku, quantity }] },
          options(),
        ),
      getStock: (...skus: string[]) => mcp.call(contract.getStock, { skus }, options()),
      findSubstitutes: (sku: string, quantity: number) =>
        mcp.call(contract.findSubstitutes, { sku, quantity }, options()),
      getRestockDate: (sku: string) => mcp.call(contract.getRestockDate, { sku }, options()),
      setStock: (sku: string, available: number, requestId = randomUUID()) =>
        mcp.call(contract.setStock, { requestId, sku, available, reason: 'Counted' }, options()),
    }
  }

  it('is ready, and tells Prometheus what it does', async () => {
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    assert.equal((await fetch(`${url}/readyz`)).status, 200)

    await caller().getStock('ABC123')
    const metrics = await (await fetch(`${url}/metrics`)).text()
    assert.match(metrics, /mcp_tool_calls_total\{server="inventory",tool="get_stock",outcome="ok"/)
  })

  it('holds, commits and reports stock', async () => {
    const held = await caller().reserve('ABC123', 5)
    const again = await caller().reserve('ABC123', 5)
    const committed = await caller().commit()

    const lines = [{ sku: 'ABC123', quantity: 5 }]
    assert.deepEqual(held, { orderId, round: 1, state: 'held', lines })
    assert.deepEqual(again, held)
    assert.deepEqual(committed, { orderId, round: 1, state: 'committed', lines })
    const { stock } = await caller().getStock('ABC123', 'XXX000')
    assert.deepEqual(stock, [{ sku: 'ABC123', name: 'Ceramic mug', available: 95 }])
    await assert.rejects(caller().release(), { kind: 'rejected', code: 'already_committed' })
    await assertBooksBalance(db)
  })

  it('gives held stock back', async () => {
    await caller().reserve('PQR678', 20)

    const released = await caller().release()

    const lines = [{ sku: 'PQR678', quantity: 20 }]
    assert.deepEqual(released, { orderId, round: 1, state: 'released', lines })
    assert.deepEqual(await unitsOf(db, 'PQR678'), { available: 20, held: 0, committed: 0 })
  })

  it('says over the wire which lines are short', async () => {
    await assert.rejects(caller().reserve('DEF456', 5), {
      kind: 'rejected',
      code: 'out_of_stock',
      details: { lines: [{ sku: 'DEF456', quantity: 5, available: 3 }] },
    })
  })

  it('has its agent look at an order, over the wire and with a cached prefix', async () => {
    const first = await caller().check('DEF456', 5)
    const second = await caller().check('GHI789', 5)

    assert.equal(first.by, 'agent')
    assert.equal(first.verdict, 'short')
    assert.deepEqual(first.lines[0]?.offer, { kind: 'substitute', substituteSku: 'DEF457' })
    assert.deepEqual(
      first.agent.toolCalls.map(({ name, ok }) => `${name} ${ok}`),
      ['get_stock true', 'find_substitutes true', 'get_restock_date true'],
    )
    assert.equal(first.agent.model, 'claude-sonnet-5-5')
    assert.ok(first.agent.costNanoUsd > 0)
    assert.deepEqual(second.lines[0]?.offer, { kind: 'wait', substituteSku: null })
    assert.ok(second.agent.usage.cacheReadTokens > 600, 'prompt and tools come from the cache')
    assert.equal((await caller().check('ABC123', 1)).verdict, 'available')
  })

  it('answers questions about stock that belong to no order', async () => {
    const { substitutes } = await caller().findSubstitutes('DEF456', 21)
    const napkins = await caller().getRestockDate('GHI789')

    assert.deepEqual(substitutes, [
      { sku: 'DEF457', name: 'Walnut tray', available: 20, covers: false },
    ])
    assert.match(napkins.restockDate ?? '', /^\d{4}-\d\d-\d\d$/)
    assert.equal((await caller().getRestockDate('XXX000')).restockDate, null)
  })

  it('sets stock and writes down who did', async () => {
    const requestId = randomUUID()
    const operator = caller(issuer.authorize(url, 'warehouse-7'))

    const set = await operator.setStock('MNO345', 9, requestId)

    assert.deepEqual(set, { sku: 'MNO345', available: 9, adjustment: 4 })
    assert.deepEqual(await operator.setStock('MNO345', 9, requestId), set)
    const { rows } = await db.query(
      `select adjusted_by from stock_adjustment where request_id = $1`,
      [requestId],
    )
    assert.deepEqual(rows, [{ adjusted_by: 'warehouse-7' }])
    await assert.rejects(operator.setStock('XXX000', 1), { kind: 'missing', code: 'unknown_sku' })
  })

  it('refuses arguments that do not fit the schema', async () => {
    await assert.rejects(caller().reserve('ABC123', 0), { kind: 'invalid' })
    await assert.rejects(caller().reserve("ABC'--", 1), { kind: 'invalid' })
  })

  it('refuses a token for another order, and holds nothing', async () => {
    const other = randomUUID()
    const forOther: Authorize = (call) => issuer.authorize(url)({ ...call, orderId: other })
    const unbound: Authorize = ({ scope }) => issuer.authorize(url)({ scope })

    const refusal = { kind: 'denied', code: 'order_not_bound' }
    await assert.rejects(caller(forOther).reserve('ABC123', 1), refusal)
    await assert.rejects(caller(unbound).reserve('ABC123', 1), refusal)
    await assert.rejects(caller(unbound).release(), refusal)
    const { rowCount } = await db.query(`select 1 from reservation where order_id in ($1, $2)`, [
      orderId,
      other,
    ])
    assert.equal(rowCount, 0)
  })

  it("refuses an order's token for what belongs to no order", async () => {
    const bound: Authorize = (call) => issuer.authorize(url)({ ...call, orderId })

    await assert.rejects(caller(bound).setStock('ABC123', 1), {
      kind: 'denied',
      code: 'order_not_bound',
    })
  })

  it('answers 403 and names the scope when a token has another one', async () => {
    const audience = url
    const clientId = 'orchestrator'
    const token = await issuer.sign({ audience, clientId, scope: 'inventory:read', orderId })
    const args = { orderId, round: 1, lines: [{ sku: 'ABC123', quantity: 1 }] }

    const response = await postToolCall(url, 'reserve_stock', args, token)

    assert.equal(response.status, 403)
    const challenge = response.headers.get('www-authenticate') ?? ''
    assert.match(challenge, /error="insufficient_scope"/)
    assert.match(challenge, /scope="inventory:reserve"/)
    const readOnly: Authorize = () => Promise.resolve(token)
    await assert.rejects(caller(readOnly).reserve('ABC123', 1), { kind: 'denied' })
  })

  it('answers 401 without a token, and with one for another audience', async () => {
    const clientId = 'orchestrator'
    const scope = 'inventory:read'
    const elsewhere = await issuer.sign({ audience: 'http://elsewhere.test', clientId, scope })
    const skus = ['ABC123']

    const none = await postToolCall(url, 'get_stock', { skus })

    assert.equal(none.status, 401)
    assert.match(none.headers.get('www-authenticate') ?? '', /resource_metadata="/)
    assert.equal((await postToolCall(url, 'get_stock', { skus }, 'abc')).status, 401)
    assert.equal((await postToolCall(url, 'get_stock', { skus }, elsewhere)).status, 401)
    const token = await issuer.sign({ audience: url, clientId, scope })
    assert.equal((await postToolCall(url, 'get_stock', { skus }, token)).status, 200)
  })

  it('checks an order by rules while Claude is down', async () => {
    await claude.close()

    const checked = await caller().check('DEF456', 5)

    assert.equal(checked.by, 'rules')
    assert.equal(checked.agentFailure?.code, 'model_unavailable')
    assert.equal(checked.available, false)
    assert.equal(checked.verdict, 'short')
    assert.deepEqual(checked.lines[0]?.offer, { kind: 'substitute', substituteSku: 'DEF457' })
  })
})
