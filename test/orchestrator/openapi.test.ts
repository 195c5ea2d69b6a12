import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { addClient } from '../../orchestrator/client-registry.ts'
import { commitOrder, finishOrder } from '../../orchestrator/order-store.ts'
import { rejected, unavailable } from '../../platform/errors.ts'
import type { OpenApiDocument } from '../../platform/openapi.ts'
import { type ApiCheck, assertValidOpenApi, checkAgainst } from '../support/openapi-check.ts'
import { routesOf } from '../support/routes-of.ts'
import { waitFor } from '../support/wait-for.ts'
import { availability, boughtLabel, finding, openedOrder, stockLine } from './support/answers.ts'
import { publicUrl, startTestOrchestrator, type TestOrchestrator } from './support/orchestrator.ts'
import { endOf, placeOrder } from './support/orders.ts'
import type { Call } from './support/services.ts'

const short = { sku: 'mug', qty: 2, customer: 'Ada Lovelace' }
const overLimit = finding('over_limit', 'held')
const over = ({ input }: Call) =>
  openedOrder(input.orderId, { round: input.round, findings: [overLimit] })
const everything =
  'orders:submit orders:read orders:cancel orders:approve orders:resume orders:resume:all'

describe('/openapi.json of the orchestrator', () => {
  let orchestrator: TestOrchestrator
  let acme: { authorization: string }
  let document: OpenApiDocument
  let api: ApiCheck

  before(async () => {
    orchestrator = await startTestOrchestrator()
    acme = await orchestrator.token('acme', everything)
    document = (await orchestrator.app.inject({ url: '/openapi.json' })).json()
    api = checkAgainst(document)
  })
  after(() => orchestrator[Symbol.asyncDispose]())
  beforeEach(() => {
    for (const tool of Object.keys(orchestrator.table)) delete orchestrator.table[tool]
    Object.assign(orchestrator.limits, { inFlightMax: 50, queueMax: 50 })
  })

  /** Asks for real, and checks the answer against the document. */
  const ask = async (
    method: 'GET' | 'POST',
    url: string,
    status: number,
    { headers, ...rest }: Pick<InjectOptions, 'headers' | 'payload'> = {},
  ): Promise<LightMyRequestResponse> => {
    const request = { method, url, headers: { ...acme, ...headers }, ...rest }
    const response = await orchestrator.app.inject(request)
    assert.equal(response.statusCode, status, response.body)
    const sent = typeof rest.payload === 'object' ? rest.payload : undefined
    api.check({ method, url, sent, status, headers: response.headers, text: response.body })
    return response
  }
  const submit = async (status = 200, payload: object = short, headers = {}) =>
    (await ask('POST', '/orchestrate', status, { payload, headers })).json()
  const read = async (orderId: string) => (await ask('GET', `/orders/${orderId}`, 200)).json()
  const act = (orderId: string, what: string, status: number, payload?: object) =>
    ask('POST', `/orders/${orderId}/${what}`, status, payload && { payload })
  const ended = async (orderId: string) => {
    await waitFor(async () => (await read(orderId)).status !== 'running', { what: 'the end' })
    return read(orderId)
  }
  const holdOne = async (): Promise<{ orderId: string; digest: string }> => {
    Object.assign(orchestrator.table, { open_order: over, quote_order: over })
    const { orderId, status } = await submit()
    assert.equal(status, 'held')
    return { orderId, digest: (await read(orderId)).approval.digest }
  }

  it('is valid OpenAPI 3.1 and names no secret', async () => {
    await assertValidOpenApi(document)
    assert.equal(document.openapi, '3.1.0')
    assert.doesNotMatch(JSON.stringify(document), /KEY_ENCRYPTION|privateJwe|DATABASE_URL/)
  })

  it('has every route that is served, and none that is not', async () => {
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const tools = ['cancel_order', 'get_order_status', 'orchestrate_order']
    const served = (await routesOf(orchestrator.app)).flatMap((route) =>
      route === 'POST /invoke/{tool}' ? tools.map((tool) => `POST /invoke/${tool}`) : [route],
    )

    assert.deepEqual(documented.sort(), served.sort())
  })

  it('names every operation once', () => {
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    assert.equal(new Set(ids).size, ids.length)
  })

  describe('says what is answered', () => {
    it('to an order of either form, at its end or before', async () => {
      const { orderId } = await submit()
      await submit(202, short, { prefer: 'respond-async' })
      await submit(200, {
        lines: [{ sku: 'mug', quantity: 2 }],
        customer: { name: 'Ada Lovelace', email: 'ada@example.com' },
        note: 'By the door, please',
        shipBy: '2030-01-31',
      })

      assert.equal((await read(orderId)).status, 'fulfilled')
      await ask('GET', `/orders/${orderId}/events`, 200)
      await ask('GET', `/orders/${orderId}/explain`, 200)
      await ask('GET', `/orders/${orderId}/explain`, 200, { headers: { accept: 'text/plain' } })
      await ask('GET', '/orders?status=fulfilled&limit=1', 200)
    })

    it('to orders that end otherwise', async () => {
      orchestrator.table.open_order = ({ input }: Call) =>
        openedOrder(input.orderId, { findings: [finding('unknown_sku', 'rejected')] })
      assert.equal((await submit()).status, 'rejected')
      delete orchestrator.table.open_order

      orchestrator.table.check_inventory = availability({
        available: false,
        verdict: 'short',
        lines: [
          stockLine({ available: 1, short: 1, offer: { kind: 'wait', substituteSku: null } }),
        ],
      })
      orchestrator.table.get_stock = { stock: [{ sku: 'mug', name: 'Mug', available: 1 }] }
      assert.equal((await submit()).status, 'backordered')
      delete orchestrator.table.check_inventory
      delete orchestrator.table.get_stock

      orchestrator.table.propose_shipment = unavailable('deadline_exceeded', 'No answer in time')
      const { orderId, status } = await submit()
      assert.equal(status, 'held')
      orchestrator.table.quote_order = unavailable('dependency_unavailable', 'It is away')
      assert.equal((await read(orderId)).approval.available, false)
    })

    it('to an order whose label is refused after the pivot', async () => {
      orchestrator.table.generate_label = rejected('address_refused', 'No such street')

      await submit()
    })

    it('to who approves, edits, rejects or gives up a held order', async () => {
      const approved = await holdOne()
      await act(approved.orderId, 'approve', 409, { digest: '0'.repeat(64) })
      await act(approved.orderId, 'approve', 202, { digest: approved.digest })
      await act(approved.orderId, 'approve', 409, { digest: approved.digest })
      assert.equal((await ended(approved.orderId)).status, 'fulfilled')

      const edited = await holdOne()
      await act(edited.orderId, 'edit', 400, { digest: edited.digest })
      await act(edited.orderId, 'edit', 400, { digest: edited.digest, lines: [] })
      const lines = [{ sku: 'mug', quantity: 1 }]
      await act(edited.orderId, 'edit', 202, { digest: edited.digest, lines, note: null })
      await ended(edited.orderId)

      const turnedDown = await holdOne()
      await act(turnedDown.orderId, 'reject', 400, { digest: 'x' })
      await act(turnedDown.orderId, 'reject', 202, {
        digest: turnedDown.digest,
        reason: 'Too much',
      })
      assert.equal((await ended(turnedDown.orderId)).status, 'rejected')

      const givenUp = await holdOne()
      await act(givenUp.orderId, 'cancel', 202)
      assert.equal((await ended(givenUp.orderId)).status, 'cancelled')
    })

    it('to who resumes a stuck order, and who comes too late', async () => {
      const { orderId } = await placeOrder(orchestrator.pool, { clientId: 'acme' })
      await commitOrder(orchestrator.pool, orderId, 1)
      await act(orderId, 'resume', 409)
      await act(orderId, 'cancel', 409)

      await finishOrder(orchestrator.pool, orderId, 1, endOf('stuck', 'run_failed'))
      await read(orderId)
      await act(orderId, 'resume', 202)
      await ended(orderId)
    })

    it('with a label, and without one', async () => {
      const { label } = await submit()
      const path = label.url.slice(publicUrl.length)
      const shows =
        (documentBase64: string | null) =>
        ({ input }: Call) => ({
          ...{ orderId: input.orderId, round: input.round, state: 'bought', label: boughtLabel },
          ...{ refund: 'none', documentBase64 },
        })
      orchestrator.table.get_shipment = shows(Buffer.from('%PDF-1.7').toString('base64'))
      await ask('GET', path, 200)
      orchestrator.table.get_shipment = shows(null)
      await ask('GET', path, 404)
      orchestrator.table.get_shipment = unavailable('dependency_unavailable', 'It is away')
      await ask('GET', path, 503)
    })

    it('to what is no order', async () => {
      await submit(400, { ...short, qty: 0 })
      await submit(400, short, { 'idempotency-key': 'a b' })
      await ask('POST', '/orchestrate', 400, {
        payload: '{',
        headers: { 'content-type': 'application/json' },
      })
      await submit(413, { ...short, note: 'a'.repeat(65 * 1024) })
      await ask('POST', '/orchestrate', 415, {
        payload: '<order/>',
        headers: { 'content-type': 'application/xml' },
      })
      const key = { 'idempotency-key': randomUUID() }
      await submit(200, short, key)
      await submit(422, { ...short, qty: 3 }, key)
      Object.assign(orchestrator.limits, { inFlightMax: 0, queueMax: 0 })
      await submit(429)
      await ask('GET', '/orders?limit=0', 400)
      for (const [id, status] of [
        ['1', 400],
        [randomUUID(), 404],
      ] as const) {
        await ask('GET', `/orders/${id}`, status)
        await ask('GET', `/orders/${id}/events`, status)
        await act(id, 'cancel', status)
        await act(id, 'resume', status)
        for (const what of ['approve', 'edit', 'reject']) {
          await act(id, what, status, { digest: '0'.repeat(64) })
        }
      }
    })

    it('to what is no URL', async () => {
      for (const path of ['/orders/', '/labels/']) {
        await ask('GET', `${path}${'a'.repeat(300)}`, 414)
        const response = await ask('GET', `${path}%zz`, 400)
        assert.equal(response.json().code, 'malformed_request')
        assert.equal(response.headers['x-content-type-options'], 'nosniff')
      }
    })

    it('to who may not', async () => {
      const other = await orchestrator.token('acme', 'other')
      for (const url of ['/orders', `/orders/${randomUUID()}`, '/tools']) {
        await ask('GET', url, 401, { headers: { authorization: '' } })
        if (url !== '/tools') await ask('GET', url, 403, { headers: other })
      }
      for (const url of ['/orchestrate', '/invoke', '/invoke/cancel_order']) {
        const payload = { tool: 'cancel_order' }
        await ask('POST', url, 401, { payload, headers: { authorization: 'Bearer abc' } })
        await ask('POST', url, 403, { payload, headers: other })
      }
    })

    it('by its tools, over the facade and over MCP', async () => {
      await ask('GET', '/tools', 200)
      const invoke = (tool: string, status: number, payload: object) =>
        ask('POST', `/invoke/${tool}`, status, { payload })
      const input = {
        idempotencyKey: randomUUID(),
        lines: [{ sku: 'mug', quantity: 2 }],
        customer: { name: 'Ada Lovelace' },
        waitSeconds: 30,
      }
      const { result } = (await invoke('orchestrate_order', 200, input)).json()
      const lines = [{ sku: 'mug', quantity: 3 }]
      await invoke('orchestrate_order', 422, { ...input, lines })
      await invoke('get_order_status', 200, { orderId: result.orderId })
      await invoke('get_order_status', 404, { orderId: randomUUID() })
      await invoke('get_order_status', 400, {})
      await invoke('cancel_order', 409, { orderId: result.orderId })
      Object.assign(orchestrator.table, { open_order: over, quote_order: over })
      const held = { ...input, idempotencyKey: randomUUID() }
      const { orderId } = (await invoke('orchestrate_order', 200, held)).json().result
      await invoke('cancel_order', 200, { orderId })
      const call = { tool: 'get_order_status', arguments: { orderId } }
      await ask('POST', '/invoke', 200, { payload: call })
      await ask('POST', '/invoke', 400, { payload: {} })
    })

    it('to clients that ask for a token', async () => {
      const secret = (await addClient(orchestrator.pool, 'shop', ['orders:read'])) ?? ''
      const type = 'application/x-www-form-urlencoded'
      const url = '/oauth/token'
      const grant = { grant_type: 'client_credentials' }
      const login = (password: string) => ({ client_id: 'shop', client_secret: password })
      const form = async (status: number, sent: Record<string, string>) => {
        const response = await orchestrator.app.inject({
          ...{ method: 'POST', url, headers: { 'content-type': type } },
          payload: new URLSearchParams(sent).toString(),
        })
        assert.equal(response.statusCode, status, response.body)
        const { headers, body: text } = response
        api.check({ method: 'POST', url, sent, status, headers, text })
      }

      await form(200, { ...grant, ...login(secret) })
      await form(400, { ...login(secret), grant_type: 'password' })
      await form(400, { ...grant, ...login(secret), scope: 'orders:cancel' })
      await form(413, { ...grant, scope: 'a'.repeat(17 * 1024) })
      await form(401, { ...grant, ...login('wrong') })
      for (let failed = 1; failed < 10; failed += 1)
        await form(401, { ...grant, ...login('wrong') })
      await form(429, { ...grant, ...login('wrong') })
    })

    it('by the process itself', async () => {
      for (const path of [
        ...['/healthz', '/readyz', '/metrics', '/openapi.json', '/.well-known/jwks.json'],
        '/.well-known/oauth-protected-resource',
        '/.well-known/oauth-authorization-server',
      ]) {
        await ask('GET', path, 200)
      }
    })

    it('for every operation at least once', () => {
      // Every process mounts the same /mcp; the inventory service's is held against its document.
      assert.deepEqual(api.unseen(), ['mcp'])
    })
  })
})
