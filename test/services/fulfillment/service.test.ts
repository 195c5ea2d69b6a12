import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { readConfig } from '../../../platform/config.ts'
import { type Authorize, createMcpCaller, type McpCaller } from '../../../platform/mcp-client.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import type { RunningProcess } from '../../../platform/process.ts'
import { newTraceId } from '../../../platform/tracing.ts'
import * as contract from '../../../services/fulfillment/contract.ts'
import { fulfillmentConfig, startFulfillment } from '../../../services/fulfillment/service.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { freePort } from '../../support/free-port.ts'
import { type TestCarrier, testCarrier, testCarrierKey } from '../../support/test-carrier.ts'
import { type TestIssuer, testIssuer } from '../../support/test-issuer.ts'
import { request } from './parcels.ts'

describe('the fulfillment service', () => {
  let db: TestDatabase
  let issuer: TestIssuer
  let carrier: TestCarrier
  let service: RunningProcess
  let url: string

  before(async () => {
    db = await testDatabase()
    issuer = await testIssuer()
    carrier = await testCarrier()
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    const env = {
      PORT: String(port),
      LOG_LEVEL: 'silent',
      DATABASE_URL: db.url,
      ISSUER_URL: issuer.url,
      RESOURCE_URL: url,
      SEED_DEMO: 'true',
      CARRIER_URL: carrier.url,
      CARRIER_API_KEY: testCarrierKey,
      CLAUDE_MODE: 'standin',
      // Nobody listens there: Claude is down, and rules must answer.
      CLAUDE_URL: `http://127.0.0.1:${await freePort()}`,
      MODEL_ATTEMPTS_MAX: '1',
    }
    service = await startFulfillment(readConfig(fulfillmentConfig, env))
  })
  after(async () => {
    await service.stop()
    await carrier[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })

  let orderId: string
  const callers: McpCaller[] = []
  beforeEach(() => {
    orderId = randomUUID()
  })
  after(() => Promise.all(callers.map((mcp) => mcp.close())))

  const caller = (authorize: Authorize = issuer.authorize(url)) => {
    const mcp = createMcpCaller({
      server: 'fulfillment',
      baseUrl: url,
      authorize,
      metrics: createMetrics('test'),
    })
    callers.push(mcp)
    const options = () => ({ timeoutMs: 5_000, traceId: newTraceId(), orderId })
    const key = () => ({ orderId, round: 1 })
    return {
      propose: (more: object = {}) =>
        mcp.call(contract.proposeShipment, { ...key(), ...request(), ...more }, options()),
      quote: (more: object = {}) =>
        mcp.call(contract.quoteShipment, { orderId, ...request(), ...more }, options()),
      generate: () => mcp.call(contract.generateLabel, key(), options()),
      voidLabel: () => mcp.call(contract.voidLabel, key(), options()),
      get: (withDocument = false) =>
        mcp.call(contract.getShipment, { ...key(), withDocument }, options()),
    }
  }

  const rpc = (name: string, args: object, token?: string) =>
    fetch(`${url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': name,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name,
          arguments: args,
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    })

  it('is ready, and tells Prometheus what it does', async () => {
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    assert.equal((await fetch(`${url}/readyz`)).status, 200)

    await caller().propose()
    const metrics = await (await fetch(`${url}/metrics`)).text()
    assert.match(metrics, /mcp_tool_calls_total\{[^}]*tool="propose_shipment",outcome="ok"/)
  })

  it('ships a parcel from proposal to label, shows the label, and voids it', async () => {
    const { propose, generate, get, voidLabel } = caller()

    const proposed = await propose()
    const generated = await generate()
    const shown = await get(true)
    const voided = await voidLabel()
    const after = await get(true)

    assert.equal(proposed.by, 'rules')
    assert.equal(proposed.agentFailure?.code, 'model_unavailable')
    assert.equal(proposed.proposal?.priceCents, 1_036)
    assert.deepEqual(generated, {
      orderId,
      round: 1,
      state: 'bought',
      label: {
        carrier: 'StandInPost',
        service: 'Ground',
        trackingNumber: generated.label.trackingNumber,
        costCents: 1_036,
        international: false,
      },
    })
    assert.deepEqual(
      await caller()
        .generate()
        .catch((error) => error.code),
      'label_voided',
    )
    assert.deepEqual(shown.label, generated.label)
    assert.equal(shown.state, 'bought')
    assert.equal(shown.refund, 'none')
    const pdf = Buffer.from(shown.documentBase64 ?? '', 'base64').toString('latin1')
    assert.ok(pdf.startsWith('%PDF-') && pdf.trimEnd().endsWith('%%EOF'))
    assert.deepEqual(voided, { orderId, round: 1, state: 'voided', refund: 'requested' })
    assert.equal(after.state, 'voided')
    assert.equal(after.documentBase64, null)
    assert.equal((await carrier.book(`${orderId}:1`)).live, 0)
  })

  describe('asked what a parcel would cost', () => {
    const unseen = async () => {
      const { rows } = await db.query('select 1 from shipment where order_id = $1', [orderId])
      assert.equal(rows.length, 0)
      assert.equal((await carrier.book(`${orderId}:1`)).shipments, 0)
    }

    it('says what rules would choose, and stores and buys nothing', async () => {
      const { propose, quote } = caller()
      const quoted = await quote()
      await unseen()

      const { proposal, international, weightGrams, findings } = await propose()
      assert.deepEqual(quoted, { proposal, international, weightGrams, findings })
      assert.deepEqual(await quote(), quoted)
    })

    it('says what stands against it, without choosing', async () => {
      const lines = request().lines.map((line) => ({ ...line, quantity: 1_000 }))
      const { proposal, findings } = await caller().quote({ lines })

      assert.equal(proposal, null)
      assert.deepEqual(
        findings.map(({ code }) => code),
        ['too_heavy'],
      )
      await unseen()
    })

    it('needs a token to read, of this very order', async () => {
      const writes: Authorize = (call) =>
        issuer.authorize(url)({ ...call, scope: 'fulfillment:label' })
      const forOther: Authorize = (call) =>
        issuer.authorize(url)({ ...call, orderId: randomUUID() })

      await assert.rejects(caller(writes).quote(), { kind: 'denied' })
      await assert.rejects(caller(forOther).quote(), { kind: 'denied', code: 'order_not_bound' })
    })
  })

  describe('told which service a person approved', () => {
    const pinned = { carrier: 'StandInPost', service: 'Priority', priceCents: 100_000 }

    it('proposes and buys that one, the same one on every repeat', async () => {
      const { propose, generate } = caller()
      const proposed = await propose({ pinned })

      assert.deepEqual(await propose({ pinned }), proposed)
      const { label } = await generate()

      assert.deepEqual(
        [label.service, label.costCents],
        ['Priority', proposed.proposal?.priceCents],
      )
    })

    it('takes no other approval for the same round', async () => {
      const changed = { kind: 'rejected', code: 'shipment_changed' }
      await caller().propose({ pinned })

      for (const other of [
        { ...pinned, service: 'Ground' },
        { ...pinned, priceCents: 1 },
      ]) {
        await assert.rejects(caller().propose({ pinned: other }), changed)
      }
      await assert.rejects(caller().propose(), changed)
    })

    it('has nothing to buy when that one costs more than was approved', async () => {
      const { proposal, findings } = await caller().propose({
        pinned: { ...pinned, priceCents: 1 },
      })

      assert.equal(proposal, null)
      assert.equal(findings[0]?.code, 'rate_changed')
      await assert.rejects(caller().generate(), { kind: 'rejected', code: 'no_proposal' })
      assert.equal((await carrier.book(`${orderId}:1`)).bought, 0)
    })
  })

  it('buys one label however many callers ask at once', async () => {
    await caller().propose()

    const labels = await Promise.all(Array.from({ length: 20 }, () => caller().generate()))

    assert.equal(new Set(labels.map(({ label }) => label.trackingNumber)).size, 1)
    assert.equal((await carrier.book(`${orderId}:1`)).bought, 1)
  })

  it('says over the wire why there is no label', async () => {
    await assert.rejects(caller().get(), { kind: 'missing', code: 'no_shipment' })
    await assert.rejects(caller().generate(), { kind: 'rejected', code: 'no_proposal' })
    assert.equal((await caller().voidLabel()).refund, 'none')
    await assert.rejects(caller().generate(), { kind: 'rejected', code: 'label_voided' })
  })

  it('refuses a token for another order, and buys nothing', async () => {
    await caller().propose()
    const forOther: Authorize = (call) => issuer.authorize(url)({ ...call, orderId: randomUUID() })
    const unbound: Authorize = ({ scope }) => issuer.authorize(url)({ scope })

    const refusal = { kind: 'denied', code: 'order_not_bound' }
    await assert.rejects(caller(forOther).generate(), refusal)
    await assert.rejects(caller(unbound).generate(), refusal)
    await assert.rejects(caller(forOther).voidLabel(), refusal)
    await assert.rejects(caller(forOther).get(true), refusal)

    assert.equal((await caller().get()).state, 'proposed')
    assert.equal((await carrier.book(`${orderId}:1`)).shipments, 0)
  })

  it('answers 403 and names the scope when a token has another one', async () => {
    const scope = 'fulfillment:read'
    const token = await issuer.sign({ audience: url, clientId: 'orchestrator', scope, orderId })

    const response = await rpc('generate_label', { orderId, round: 1 }, token)

    assert.equal(response.status, 403)
    const challenge = response.headers.get('www-authenticate') ?? ''
    assert.match(challenge, /error="insufficient_scope"/)
    assert.match(challenge, /scope="fulfillment:label"/)
  })

  it('answers 401 without a token, and with one for another audience', async () => {
    const audience = 'http://elsewhere.test'
    const scope = 'fulfillment:label'
    const elsewhere = await issuer.sign({ audience, clientId: 'orchestrator', scope, orderId })
    const args = { orderId, round: 1 }

    assert.equal((await rpc('generate_label', args)).status, 401)
    assert.equal((await rpc('generate_label', args, elsewhere)).status, 401)
  })

  it('stops although a connection is open that never asked anything', async () => {
    const port = await freePort()
    const own = `http://127.0.0.1:${port}`
    const env = {
      PORT: String(port),
      LOG_LEVEL: 'silent',
      DATABASE_URL: db.url,
      ISSUER_URL: issuer.url,
      RESOURCE_URL: own,
      CARRIER_URL: carrier.url,
      CARRIER_API_KEY: testCarrierKey,
      CLAUDE_MODE: 'standin',
      CLAUDE_URL: own,
    }
    const second = await startFulfillment(readConfig(fulfillmentConfig, env))
    const silent = connect(port, '127.0.0.1')
    await once(silent, 'connect')

    const startedAt = performance.now()
    await second.stop()

    assert.ok(performance.now() - startedAt < 5_000)
    silent.destroy()
  })
})
