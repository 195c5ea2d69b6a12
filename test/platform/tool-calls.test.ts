/** The record of every call: a log line and a row, with nothing personal or secret in either. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { z } from 'zod'
import { createPool } from '../../platform/db.ts'
import { rejected } from '../../platform/errors.ts'
import { createLog } from '../../platform/log.ts'
import { definePrompt, implementPrompt } from '../../platform/prompt.ts'
import { defineResource, implementResource } from '../../platform/resource.ts'
import { forgetOldCalls } from '../../platform/spent-tokens.ts'
import { defineTool, implement, writesOnce } from '../../platform/tool.ts'
import { type CallRecord, ToolCallLog } from '../../platform/tool-calls.ts'
import { newTraceId, traceparentFor } from '../../platform/tracing.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { postMcp } from '../support/mcp-request.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'
import { waitFor } from '../support/wait-for.ts'

// Nothing that contains this word may be in a row or a line.
const canary = 'Canary'
const person = `Zoe ${canary}, 12 ${canary} Lane`
const orderId = randomUUID()

const order = { scope: 'orders:write', bound: 'order' } as const
const note = defineTool({
  ...{ ...order, name: 'note_order', version: 1, annotations: writesOnce, plain: ['sku'] },
  description: 'Note an order.',
  input: z.strictObject({
    orderId: z.uuid(),
    sku: z.string().max(200).optional(),
    person: z.strictObject({ name: z.string(), apiKey: z.string().optional() }).optional(),
    quantity: z.int().optional(),
    outcome: z.enum(['ok', 'refused', 'bug']).default('ok'),
  }),
  output: z.object({ person: z.string() }),
})
const orders = defineResource({
  ...{ ...order, name: 'order', uri: 'orders://{orderId}', ttlMs: 0 },
  description: 'An order. Read it.',
  variables: z.object({ orderId: z.uuid() }),
})
const explain = definePrompt({
  ...{ ...order, name: 'explain_order', title: 'Explain', description: 'Explains. No more.' },
  input: z.object({ orderId: z.uuid(), person: z.string().max(20).optional() }),
})

describe('the record of calls', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  let lines: string[] = []

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const tools = [
      implement(note, async ({ outcome }) => {
        if (outcome === 'refused') throw rejected('order_refused', `Not for ${person}`)
        if (outcome === 'bug') throw new TypeError('a bug')
        return { person }
      }),
    ]
    const resources = [implementResource(orders, { read: async () => ({ person }) })]
    const prompts = [implementPrompt(explain, async () => ({ task: 'Do.', facts: { person } }))]
    const log = createLog('test', 'debug', { write: (line) => lines.push(line) })
    server = await testServer({ db, issuer, log, primitives: { tools, resources, prompts } })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await db.query('truncate tool_call')
    lines = []
  })

  const tokenFor = (scope: string = order.scope, of: string = orderId) =>
    issuer.sign({ audience: server.url, clientId: 'shop-1', scope, orderId: of })
  const overMcp = async (args: object, token?: string, meta: object = {}) =>
    postMcp(server.url, {
      method: 'tools/call',
      params: { name: note.name, arguments: args, _meta: meta },
      token: token ?? (await tokenFor()),
    })
  const byFacade = async (args: object, headers: Record<string, string> = {}) =>
    fetch(new URL(`/invoke/${note.name}`, server.url), {
      method: 'POST',
      headers: {
        ...{ authorization: `Bearer ${await tokenFor()}`, 'content-type': 'application/json' },
        ...headers,
      },
      body: JSON.stringify(args),
    })
  /** The one row and the one line of a call that was just answered. */
  const recorded = async () => {
    const rows = async () =>
      (
        await db.query(
          `select kind, name, via, client_id, order_id, arguments, outcome, code, duration_ms,
                  trace_id from tool_call`,
        )
      ).rows
    await waitFor(async () => (await rows()).length > 0, { what: 'the row' })
    const found = await rows()
    assert.equal(found.length, 1)
    const told = lines.map((line) => JSON.parse(line)).filter(({ level }) => level !== 'debug')
    assert.equal(told.length, 1, JSON.stringify(told))
    const [row] = found
    const [line] = told
    assert.equal(line.msg, 'call')
    for (const key of ['kind', 'name', 'via', 'outcome'] as const) assert.equal(line[key], row[key])
    assert.equal(line.clientId, row.client_id)
    assert.equal(line.traceId, row.trace_id)
    assert.equal(line.code ?? null, row.code)
    assert.ok(row.duration_ms >= 0)
    return { row, line }
  }
  const assertNoCanary = async () => {
    const { rows } = await db.query('select to_jsonb(tool_call)::text as row from tool_call')
    for (const { row } of rows) assert.doesNotMatch(row, new RegExp(canary))
    for (const line of lines) assert.doesNotMatch(line, new RegExp(canary))
  }

  describe('has a row and a line', () => {
    it('of a tool over MCP, under the trace that the message carries', async () => {
      const traceId = newTraceId()
      const args = { orderId, sku: 'ABC-1', quantity: 3, person: { name: person, apiKey: canary } }
      await overMcp(args, undefined, { traceparent: traceparentFor(traceId) })

      const { row } = await recorded()
      assert.deepEqual(
        { ...row, duration_ms: 0 },
        {
          ...{ kind: 'tool', name: 'note_order', via: 'mcp', client_id: 'shop-1' },
          ...{ order_id: orderId, outcome: 'ok', code: null, duration_ms: 0, trace_id: traceId },
          arguments: {
            ...{ orderId, sku: 'ABC-1', quantity: 3, outcome: '[text 2]' },
            person: { name: `[text ${person.length}]`, apiKey: `[text ${canary.length}]` },
          },
        },
      )
      await assertNoCanary()
    })

    it('of a tool by the facade, under the trace of the request', async () => {
      const traceId = newTraceId()
      await byFacade(
        { orderId, person: { name: person } },
        { traceparent: traceparentFor(traceId) },
      )

      const { row } = await recorded()
      assert.deepEqual([row.via, row.outcome, row.trace_id], ['facade', 'ok', traceId])
      await assertNoCanary()
    })

    for (const [outcome, kind, code] of [
      ['refused', 'rejected', 'order_refused'],
      ['bug', 'internal', 'internal'],
    ] as const) {
      it(`of a tool that answers ${code}, through each door`, async () => {
        const args = { orderId, outcome, person: { name: person } }
        await overMcp(args)
        const first = await recorded()
        assert.deepEqual([first.row.outcome, first.row.code], [kind, code])
        // Only a bug is told with what was thrown: somebody must look into it.
        assert.equal('err' in first.line, kind === 'internal')
        await assertNoCanary()
        await db.query('truncate tool_call')
        lines = []

        await byFacade(args)
        const second = await recorded()
        assert.deepEqual([second.row.via, second.row.code], ['facade', code])
        await assertNoCanary()
      })
    }

    it('of arguments that are not valid, without a word of them', async () => {
      await byFacade({ orderId, [`${canary} key`]: person, quantity: canary })

      const { row } = await recorded()
      assert.deepEqual([row.code, row.arguments], ['invalid_arguments', '[invalid]'])
      assert.equal(row.order_id, orderId, 'that of the token')
      await assertNoCanary()
    })

    it('of a token without the scope, at the door of MCP', async () => {
      const response = await overMcp({ orderId, person: { name: person } }, await tokenFor('other'))
      assert.equal(response.status, 403)

      const { row } = await recorded()
      assert.deepEqual([row.outcome, row.code], ['denied', 'insufficient_scope'])
      assert.deepEqual([row.name, row.arguments], ['note_order', '[unread]'])
      await assertNoCanary()
    })

    it('of a resource that is read, and of one that is refused', async () => {
      const params = { uri: `orders://${orderId}` }
      await postMcp(server.url, { method: 'resources/read', params, token: await tokenFor() })
      const { row } = await recorded()
      assert.deepEqual(
        [row.kind, row.name, row.order_id, row.outcome, row.arguments],
        ['resource', 'orders://{orderId}', orderId, 'ok', {}],
      )
      await assertNoCanary()
      await db.query('truncate tool_call')
      lines = []

      const token = await tokenFor(order.scope, randomUUID())
      await postMcp(server.url, { method: 'resources/read', params, token })
      const refused = await recorded()
      assert.deepEqual(
        [refused.row.code, refused.row.order_id],
        ['order_not_bound', orderId],
        'the order that was asked for',
      )
    })

    it('of a prompt', async () => {
      const params = { name: explain.name, arguments: { orderId, person: canary } }
      await postMcp(server.url, { method: 'prompts/get', params, token: await tokenFor() })

      const { row } = await recorded()
      assert.deepEqual([row.kind, row.name, row.outcome], ['prompt', 'explain_order', 'ok'])
      assert.equal(row.order_id, orderId)
      await assertNoCanary()
    })

    it('of no request that has no valid token', async () => {
      await overMcp({ orderId }, canary)
      await overMcp({ orderId })

      const { row } = await recorded()
      assert.equal(row.outcome, 'ok')
      await assertNoCanary()
    })
  })

  it('shows no token and no plain text that is not plain', async () => {
    const token = await tokenFor()
    await overMcp({ orderId, sku: `A ${'b'.repeat(80)}\u0007é` }, token)

    const { row } = await recorded()
    assert.equal(row.arguments.sku, '[text 84]')
    for (const text of [...lines, JSON.stringify(row)]) assert.equal(text.includes(token), false)
  })

  it('keeps the rows of calls whose order is no UUID, and those after them', async () => {
    await overMcp({ orderId }, await tokenFor(order.scope, 'not-a-uuid'))

    const { row } = await recorded()
    assert.deepEqual([row.code, row.order_id], ['order_not_bound', orderId])
    await db.query('truncate tool_call')
    lines = []
    await overMcp({}, await tokenFor(order.scope, 'not-a-uuid'))
    assert.equal((await recorded()).row.order_id, null)
  })

  it('is forgotten after so many days', async () => {
    await overMcp({ orderId })
    await recorded()
    await db.query(
      `insert into tool_call (called_at, kind, name, via, client_id, arguments, outcome,
                              duration_ms, trace_id)
       select now() - interval '31 days', 'tool', 'old_call', 'mcp', 'c', '{}', 'ok', 1, 'x'`,
    )

    await forgetOldCalls(db, 30)

    const { rows } = await db.query('select name from tool_call')
    assert.deepEqual(rows, [{ name: 'note_order' }])
  })
})

describe('the log of calls', () => {
  let db: TestDatabase
  before(async () => {
    db = await testDatabase('platform/migrations')
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => db.query('truncate tool_call'))

  const call = (name: string, more: Partial<CallRecord> = {}): CallRecord => ({
    ...{ kind: 'tool', name, via: 'mcp', clientId: 'c', orderId: undefined, arguments: {} },
    ...{ outcome: 'ok', code: undefined, durationMs: 1, traceId: newTraceId(), ...more },
  })
  const names = async () =>
    (await db.query('select name from tool_call order by id')).rows.map(({ name }) => name)
  const silent = createLog('test', 'silent')

  it('writes what waits when it stops', async () => {
    const calls = new ToolCallLog(db, silent)
    calls.start()
    for (let i = 0; i < 1_200; i++) calls.record(call(`call ${i}`))

    await calls.stop()

    assert.deepEqual(
      await names(),
      Array.from({ length: 1_200 }, (_, i) => `call ${i}`),
    )
  })

  it('keeps rows while the database is away for a moment', async () => {
    const lines: string[] = []
    const log = createLog('test', 'warn', { write: (line) => lines.push(line) })
    await using proxy = await startFaultProxy(Number(new URL(db.url).port))
    const url = new URL(db.url)
    url.port = String(proxy.port)
    const pool = createPool(url.href, 2, silent, 1_000)
    const calls = new ToolCallLog(pool, log)
    calls.start()
    proxy.harm({ kind: 'refused' })

    calls.record(call('first'))
    calls.record(call('second'))
    await waitFor(() => lines.some((line) => line.includes('call rows not written')), {
      what: 'a failed write',
    })
    assert.deepEqual(await names(), [])
    proxy.harm({ kind: 'none' })

    await waitFor(async () => (await names()).length === 2, { what: 'the rows' })
    await calls.stop()
    await pool.end()
    assert.deepEqual(await names(), ['first', 'second'])
  })

  it('leaves out a row that Postgres will never take, and says so', async () => {
    const lines: string[] = []
    const log = createLog('test', 'error', { write: (line) => lines.push(line) })
    let dropped = 0
    const calls = new ToolCallLog(db, log, () => {
      dropped += 1
    })
    calls.record(call('before'))
    calls.record(call('bad', { clientId: 'nul \u0000' }))
    calls.record(call('after'))

    await calls.stop()

    assert.deepEqual(await names(), ['before', 'after'])
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /"dropped":1/)
    assert.equal(dropped, 1)
  })
})
