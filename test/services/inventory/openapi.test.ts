import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { OpenApiDocument } from '../../../platform/openapi.ts'
import { type InventoryService, startInventoryService } from '../../support/inventory-service.ts'
import { type ApiCheck, assertValidOpenApi, checkAgainst } from '../../support/openapi-check.ts'
import { type TestIssuer, testIssuer } from '../../support/test-issuer.ts'

describe('/openapi.json of the inventory service', () => {
  let issuer: TestIssuer
  let service: InventoryService
  let origin: string
  let document: OpenApiDocument
  let api: ApiCheck

  before(async () => {
    issuer = await testIssuer()
    service = await startInventoryService(issuer.url)
    origin = service.url
    document = (await (await fetch(`${origin}/openapi.json`)).json()) as OpenApiDocument
    api = checkAgainst(document)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  /** Asks for real, and checks the answer against the document. */
  const ask = async (
    method: 'GET' | 'POST',
    url: string,
    status: number,
    { sent, headers = {} }: { sent?: object; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(`${origin}${url}`, {
      method,
      headers: { ...(sent && { 'content-type': 'application/json' }), ...headers },
      ...(sent && { body: JSON.stringify(sent) }),
    })
    const text = await response.text()
    assert.equal(response.status, status, text)
    api.check({ method, url, sent, status, text, headers: Object.fromEntries(response.headers) })
    return text
  }
  const token = async (scope: string, orderId?: string) => ({
    authorization: `Bearer ${await issuer.sign({ audience: origin, clientId: 'acme', scope, orderId })}`,
  })
  const invoke = async (
    tool: string,
    status: number,
    sent: object,
    scope: string,
    order?: string,
  ) => ask('POST', `/invoke/${tool}`, status, { sent, headers: await token(scope, order) })

  it('is valid, and says where tokens come from', async () => {
    await assertValidOpenApi(document)
    const text = JSON.stringify(document)
    assert.ok(text.includes(`"tokenUrl":"${issuer.url}/oauth/token"`))
    assert.deepEqual(document.servers, [{ url: origin }])
  })

  it('says what the process answers', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json']) {
      await ask('GET', path, 200)
    }
    await ask('GET', '/.well-known/oauth-protected-resource', 200)
    await ask('GET', '/tools', 200, { headers: await token('inventory:read') })
    await ask('GET', '/tools', 401)
  })

  it('says what every tool answers', async () => {
    const orderId = randomUUID()
    const round = { orderId, round: 1 }
    const lines = [{ sku: 'ABC123', quantity: 1 }]
    const reserve = 'inventory:reserve'

    await invoke('check_inventory', 200, { ...round, lines }, 'inventory:check', orderId)
    await invoke('reserve_stock', 200, { ...round, lines }, reserve, orderId)
    await invoke('commit_stock', 200, round, reserve, orderId)
    await invoke('release_stock', 409, round, reserve, orderId)
    const other = randomUUID()
    await invoke('release_stock', 200, { orderId: other, round: 1 }, reserve, other)
    await invoke('get_stock', 200, { skus: ['ABC123'] }, 'inventory:read')
    await invoke('find_substitutes', 200, { sku: 'DEF456', quantity: 1 }, 'inventory:read')
    await invoke('get_restock_date', 200, { sku: 'GHI789' }, 'inventory:read')
    const count = { requestId: randomUUID(), sku: 'MNO345', available: 9, reason: 'Counted' }
    await invoke('set_stock', 200, count, 'inventory:admin')
    await ask('POST', '/invoke', 200, {
      sent: { tool: 'get_stock', arguments: { skus: ['ABC123'] } },
      headers: await token('inventory:read'),
    })
  })

  it('says how tools refuse', async () => {
    const orderId = randomUUID()
    const wanted = { orderId, round: 1, lines: [{ sku: 'ABC123', quantity: 1 }] }

    await invoke('reserve_stock', 400, { ...wanted, round: 0 }, 'inventory:reserve', orderId)
    await invoke('reserve_stock', 403, wanted, 'inventory:reserve', randomUUID())
    await invoke('reserve_stock', 403, wanted, 'inventory:read', orderId)
    const short = { ...wanted, lines: [{ sku: 'DEF456', quantity: 900 }] }
    await invoke('reserve_stock', 409, short, 'inventory:reserve', orderId)
    const unknown = { requestId: randomUUID(), sku: 'XXX000', available: 1, reason: 'Counted' }
    await invoke('set_stock', 404, unknown, 'inventory:admin')
    await ask('POST', '/invoke/get_stock', 401, { sent: {} })
    await ask('POST', '/invoke', 400, { sent: {}, headers: await token('inventory:read') })
    const newer = { ...(await token('inventory:read')), 'baton-tool-version': '99' }
    await ask('POST', '/invoke/get_stock', 503, { sent: { skus: ['ABC123'] }, headers: newer })
  })

  it('says how MCP answers', async () => {
    const headers = {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-11-25',
      ...(await token('inventory:read')),
    }
    const call = (name: string, args: object) => ({
      ...{ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } },
    })

    await ask('POST', '/mcp', 200, { sent: call('get_stock', { skus: ['ABC123'] }), headers })
    await ask('POST', '/mcp', 202, {
      sent: { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } },
      headers,
    })
    await ask('POST', '/mcp', 400, { sent: [call('get_stock', {})], headers })
    await ask('POST', '/mcp', 401, { sent: call('get_stock', {}) })
    await ask('POST', '/mcp', 403, { sent: call('set_stock', {}), headers })
    const json = { ...headers, accept: 'text/html' }
    await ask('POST', '/mcp', 406, { sent: call('get_stock', {}), headers: json })
    const other = await fetch(`${origin}/mcp`, { headers })
    assert.equal(other.status, 405)
  })

  it('was held against an answer of every operation', () => {
    assert.deepEqual(api.unseen(), [])
  })
})
