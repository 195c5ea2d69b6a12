/** Malformed requests: a clear refusal with a stable code, nothing stored, never a 5xx. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { get, post, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
const lines = (count: number) =>
  Array.from({ length: count }, () => ({ sku: 'ABC123', quantity: 1 }))
const withKey = (key: string) => `{"sku":"ABC123","qty":1,"customer":"John Doe","${key}":{"a":1}}`

describe('malformed requests', () => {
  let t: TestPlatform
  let url = ''

  before(async () => {
    t = await startTestPlatform(22_000)
    url = t.platform.urls.orchestrator
  })
  after(() => t[Symbol.asyncDispose]())

  const stored = async () =>
    (
      await t.rows<{ n: number }>('orchestrator', 'select count(*)::int as n from customer_order')
    )[0]?.n

  const refusals: readonly [
    what: string,
    body: unknown,
    status: number,
    code: string,
    pointer?: string,
  ][] = [
    ['text that is not JSON', 'sku=ABC123', 400, 'malformed_request'],
    ['an empty body', '', 400, 'malformed_request'],
    ['null', 'null', 400, 'invalid_order', ''],
    ['a list', '[]', 400, 'invalid_order', ''],
    ['a number as sku', { ...ordinary, sku: 5 }, 400, 'invalid_order', '/sku'],
    ['text as quantity', { ...ordinary, qty: '5' }, 400, 'invalid_order', '/qty'],
    ['quantity 0', { ...ordinary, qty: 0 }, 400, 'invalid_order', '/qty'],
    ['quantity -1', { ...ordinary, qty: -1 }, 400, 'invalid_order', '/qty'],
    ['quantity 1.5', { ...ordinary, qty: 1.5 }, 400, 'invalid_order', '/qty'],
    ['quantity 1e9', { ...ordinary, qty: 1e9 }, 400, 'invalid_order', '/qty'],
    ['no customer', { sku: 'ABC123', qty: 1 }, 400, 'invalid_order', '/customer'],
    ['an unknown field', { ...ordinary, price: 0 }, 400, 'invalid_order', '/price'],
    [
      '101 lines',
      { lines: lines(101), customer: { name: 'John Doe' } },
      400,
      'invalid_order',
      '/lines',
    ],
    ['no lines', { lines: [], customer: { name: 'John Doe' } }, 400, 'invalid_order', '/lines'],
    [
      'a control character in a name',
      { ...ordinary, customer: 'John\u0000Doe' },
      400,
      'invalid_order',
      '/customer/name',
    ],
    [
      'a control character in a note',
      { ...ordinary, note: 'ring\u0007twice' },
      400,
      'invalid_order',
      '/note',
    ],
    ['half a surrogate pair', { ...ordinary, note: 'a\ud800b' }, 400, 'invalid_order', '/note'],
    ['a prototype key', withKey('__proto__'), 400, 'malformed_request'],
    [
      'a constructor key',
      '{"sku":"ABC123","qty":1,"customer":"J","constructor":{"prototype":{"a":1}}}',
      400,
      'malformed_request',
    ],
    ['50,000 nested brackets', '['.repeat(25_000) + ']'.repeat(25_000), 400, 'invalid_order', ''],
    ['a body of 10 MB', `"${'x'.repeat(10_000_000)}"`, 413, 'body_too_large'],
  ]
  for (const [what, body, status, code, pointer] of refusals) {
    it(`refuses ${what} with ${status} ${code}`, async () => {
      const before = await stored()

      const answer = await postOrder(url, body)

      assert.equal(answer.status, status)
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
      assert.equal(answer.body.code, code)
      assert.equal(answer.body.status, status)
      if (pointer !== undefined) assert.equal(answer.body.errors[0].pointer, pointer)
      assert.equal(await stored(), before)
    })
  }

  it('allows newline and tab in a note', async () => {
    const { body } = await postOrder(url, { ...ordinary, note: 'Ring twice.\n\tThank you.' })
    assert.equal(body.status, 'fulfilled')
  })

  it('refuses a body that is not JSON by its type', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded']) {
      const { status, body } = await postOrder(url, 'sku=ABC123', { 'content-type': type })
      assert.deepEqual([status, body.code], [415, 'unsupported_media_type'])
    }
  })

  it('refuses a key that is no key, and ids that are no ids', async () => {
    const key = await postOrder(url, ordinary, { 'idempotency-key': 'x'.repeat(256) })
    const id = await get(`${url}/orders/1%27%20or%201=1`)
    const unknown = await get(`${url}/orders/00000000-0000-4000-8000-000000000000`)
    const cancel = await post(`${url}/orders/00000000-0000-4000-8000-000000000000/cancel`)
    const cursor = await get(`${url}/orders?cursor=abc`)
    const route = await get(`${url}/nothing/here`)

    const codes = [key, id, unknown, cancel, cursor, route].map((a) => [a.status, a.body.code])
    assert.deepEqual(codes, [
      [400, 'invalid_idempotency_key'],
      [400, 'invalid_order_id'],
      [404, 'no_such_order'],
      [404, 'no_such_order'],
      [400, 'invalid_query'],
      [404, 'no_such_route'],
    ])
  })

  it('answers too_late to a cancel of an order that has shipped', async () => {
    const { body } = await postOrder(url, ordinary)

    const cancel = await post(`${url}/orders/${body.orderId}/cancel`)

    assert.deepEqual([cancel.status, cancel.body.code], [409, 'too_late'])
  })

  it('serves no page of a browser that asks under another name: DNS rebinding', async () => {
    const { body } = await postOrder(url, ordinary)
    const before = await stored()
    const { port } = new URL(url)
    const id = body.orderId

    for (const [method, path] of [
      ['POST', '/orchestrate'],
      ['GET', '/orders'],
      ['GET', `/orders/${id}`],
      ['GET', `/orders/${id}/events`],
      ['POST', `/orders/${id}/cancel`],
    ] as const) {
      const rebound = await askAs(method, path, { host: `evil.example:${port}` })
      const foreign = await askAs(method, path, { origin: 'https://evil.example' })
      assert.deepEqual([rebound.status, rebound.code], [403, 'foreign_host'], path)
      assert.deepEqual([foreign.status, foreign.code], [403, 'foreign_origin'], path)
    }
    assert.equal(await stored(), before)
    const local = await askAs('GET', `/orders/${id}`, { host: `localhost:${port}`, origin: url })
    const label = new URL(body.label.url).pathname
    assert.equal(local.status, 200)
    for (const open of ['/healthz', '/readyz', label]) {
      assert.equal((await askAs('GET', open, { host: 'evil.example' })).status, 200, open)
    }
  })

  /** As no fetch can: with a Host of one's own. */
  async function askAs(method: string, path: string, headers: Record<string, string>) {
    const json = method === 'POST' ? { 'content-type': 'application/json' } : {}
    const asked = request(`${url}${path}`, { method, headers: { ...json, ...headers } })
    asked.end(path === '/orchestrate' ? JSON.stringify(ordinary) : undefined)
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    const body = Buffer.concat(await response.toArray()).toString()
    const isJson = response.headers['content-type']?.includes('json') === true
    return { status: response.statusCode, code: isJson ? JSON.parse(body).code : undefined }
  }

  it('lets nobody call a service without a token', async () => {
    for (const name of ['order', 'inventory', 'fulfillment'] as const) {
      const response = await fetch(`${t.platform.urls[name]}/mcp`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      })
      assert.equal(response.status, 401)
      assert.match(response.headers.get('www-authenticate') ?? '', /resource_metadata=/)
    }
  })
})
