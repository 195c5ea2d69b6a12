/** Another client's order, by every way there is: it looks like none, and nothing happens to it. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import {
  startTestOrchestrator,
  type TestOrchestrator,
} from '../orchestrator/support/orchestrator.ts'
import { waitFor } from '../support/wait-for.ts'

const scopes = [
  ...['orders:submit', 'orders:read', 'orders:cancel', 'orders:approve', 'orders:resume'],
].join(' ')
const request = { customer: 'John Doe', sku: 'cup', qty: 1 }
const digest = 'a'.repeat(64)

describe('an order of another client', () => {
  let orchestrator: TestOrchestrator
  let url = ''
  let acme: Record<string, string>
  let bolt: Record<string, string>
  let orderId = ''
  let boltClient: Client

  before(async () => {
    orchestrator = await startTestOrchestrator()
    url = await orchestrator.app.listen({ host: '127.0.0.1', port: 0 })
    acme = await orchestrator.token('acme', scopes)
    bolt = await orchestrator.token('bolt', scopes)
    const taken = await send('POST', '/orchestrate', acme, request)
    orderId = taken.body.orderId
    boltClient = new Client(
      { name: 'bolt', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    )
    const transport = new StreamableHTTPClientTransport(new URL('/mcp', url), {
      requestInit: { headers: bolt },
    })
    await boltClient.connect(transport)
  })
  after(async () => {
    await boltClient.close()
    await orchestrator[Symbol.asyncDispose]()
  })

  const send = async (method: string, path: string, headers: object, body?: object) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    })
    const text = await response.text()
    // biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
    return { status: response.status, text, body: JSON.parse(text) as any }
  }
  /** The row and the events of the order that bolt is after. */
  const state = async () => {
    const tables = ['customer_order', 'order_event']
    const rows = tables.map((table) =>
      orchestrator.pool.query(`select * from ${table} where order_id = $1 order by 1, 2`, [
        orderId,
      ]),
    )
    return (await Promise.all(rows)).map((result) => result.rows)
  }

  it('is there for its own client', async () => {
    assert.equal((await send('GET', `/orders/${orderId}`, acme)).body.status, 'fulfilled')
  })

  const routes: readonly (readonly [string, string, object?])[] = [
    ['GET', '/orders/:id'],
    ['GET', '/orders/:id/events'],
    ['GET', '/orders/:id/explain'],
    ['POST', '/orders/:id/cancel'],
    ['POST', '/orders/:id/approve', { digest }],
    ['POST', '/orders/:id/edit', { digest, note: 'mine now' }],
    ['POST', '/orders/:id/reject', { digest }],
    ['POST', '/orders/:id/resume'],
  ]
  for (const [method, path, body] of routes) {
    it(`looks like none: ${method} ${path}`, async () => {
      const before = await state()
      const ask = (id: string) => send(method, path.replace(':id', id), bolt, body)

      const theirs = await ask(orderId)
      const none = await ask(randomUUID())

      assert.deepEqual([theirs.status, theirs.body.code], [404, 'no_such_order'])
      const { traceId: _one, ...foreign } = theirs.body
      const { traceId: _two, ...unknown } = none.body
      assert.deepEqual(foreign, unknown)
      assert.deepEqual(await state(), before)
    })
  }

  const calls: readonly (readonly [string, () => object])[] = [
    ['get_order_status', () => ({ orderId })],
    ['get_order_status', () => ({ orderId: orderId.toUpperCase(), waitSeconds: 1 })],
    ['cancel_order', () => ({ orderId })],
  ]
  for (const [name, args] of calls) {
    it(`looks like none: the tool ${name} over MCP and both forms of the facade`, async () => {
      const before = await state()
      const input = args() as Record<string, unknown>

      const mcp = await boltClient.callTool({ name, arguments: input })
      const facade = await send('POST', `/invoke/${name}`, bolt, input)
      const envelope = await send('POST', '/invoke', bolt, { tool: name, arguments: input })

      const error = (mcp._meta as { error?: { code: string } } | undefined)?.error
      assert.equal(error?.code, 'no_such_order')
      assert.deepEqual([facade.status, facade.body.code], [404, 'no_such_order'])
      assert.deepEqual([envelope.status, envelope.body.code], [404, 'no_such_order'])
      assert.deepEqual(await state(), before)
    })
  }

  it('looks like none: as a resource, read or watched', async () => {
    const uri = `orders://${orderId}`

    await assert.rejects(boltClient.readResource({ uri }), /no_such_order/)
    await assert.rejects(boltClient.listen({ resourceSubscriptions: [uri] }))
  })

  for (const name of ['investigate_order', 'explain_rejection', 'draft_backorder_notice']) {
    it(`looks like none: the prompt ${name}`, async () => {
      const arguments_ = { orderId }
      await assert.rejects(boltClient.getPrompt({ name, arguments: arguments_ }), /no_such_order/)
    })
  }

  it('is in no list', async () => {
    const lists = [
      (await send('GET', '/orders?limit=100', bolt)).text,
      (await send('GET', '/orders?status=fulfilled', bolt)).text,
      JSON.stringify(await boltClient.listResources()),
      JSON.stringify(await boltClient.readResource({ uri: 'orders://active' })),
    ]

    for (const list of lists) assert.doesNotMatch(list, new RegExp(orderId))
  })

  it('tells nobody else that it changes', async () => {
    const heard: string[] = []
    boltClient.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri)
    })
    const subscription = await boltClient.listen({ resourceSubscriptions: ['orders://active'] })

    await send('POST', '/orchestrate', acme, request)
    assert.deepEqual(heard, [])
    const own = await send('POST', '/orchestrate', bolt, request)
    await waitFor(async () => heard.length > 0, { what: 'news of bolt’s own order' })

    assert.equal(own.body.status, 'fulfilled')
    await subscription.close()
  })

  it('is not reached by its own idempotency key', async () => {
    const headers = { 'idempotency-key': 'shared-key' }
    const first = await send('POST', '/orchestrate', { ...acme, ...headers }, request)

    const second = await send('POST', '/orchestrate', { ...bolt, ...headers }, request)

    assert.notEqual(second.body.orderId, first.body.orderId)
  })

  it('is not taken by claiming a scope that the token does not have', async () => {
    const before = await state()
    const reader = await orchestrator.token('bolt', 'orders:read')

    const answers = [
      await send('POST', `/orders/${orderId}/cancel`, reader),
      await send('POST', '/invoke/cancel_order', reader, { orderId }),
      await send('POST', '/invoke', reader, { tool: 'cancel_order', arguments: { orderId } }),
      await send('POST', '/orchestrate', reader, request),
      await send('POST', '/invoke/orchestrate_order', reader, {
        ...{ customer: { name: 'John Doe' }, lines: [{ sku: 'cup', quantity: 1 }] },
        idempotencyKey: randomUUID(),
      }),
    ]

    for (const answer of answers) {
      assert.deepEqual([answer.status, answer.body.code], [403, 'insufficient_scope'])
    }
    assert.deepEqual(await state(), before)
  })

  it('is not touched by a token that is bound to an order of a service', async () => {
    const before = await state()
    const inventory = await orchestrator.token('orchestrator', 'inventory:reserve', 'http://inv')

    const answer = await send('GET', `/orders/${orderId}`, inventory)

    assert.deepEqual([answer.status, answer.body.code], [401, 'invalid_token'])
    assert.deepEqual(await state(), before)
  })
})
