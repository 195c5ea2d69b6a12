/** The whole main job through an MCP client, on two orchestrators. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { waitFor } from '../support/wait-for.ts'
import { get, postJson } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const mugs = { customer: { name: 'John Doe' }, lines: [{ sku: 'ABC123', quantity: 1 }] }

describe('an MCP client of the orchestrator', () => {
  let t: TestPlatform
  const urls: string[] = []
  const clients: Client[] = []

  before(async () => {
    t = await startTestPlatform(21_700, { orchestrators: 2 })
    urls.push(t.platform.urls.orchestrator, t.platform.urls['orchestrator-2'] ?? '')
    for (const url of urls) {
      const client = new Client(
        { name: 'outside', version: '1' },
        { versionNegotiation: { mode: { pin: '2026-07-28' } } },
      )
      await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', url)))
      clients.push(client)
    }
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await t[Symbol.asyncDispose]()
  })

  const call = async (replica: 0 | 1, name: string, args: object, onprogress?: () => void) => {
    const client = clients[replica] as Client
    const request = { name, arguments: args as Record<string, unknown> }
    const options = { timeout: 60_000, ...(onprogress === undefined ? {} : { onprogress }) }
    const result = await client.callTool(request, options)
    return {
      isError: result.isError === true,
      // biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
      value: result.structuredContent as any,
      error: (result._meta as { error?: { code: string } } | undefined)?.error,
    }
  }
  const held = async () => {
    const rows = await t.rows<{ held: string }>('inventory', 'select sum(held) as held from stock')
    return Number(rows[0]?.held)
  }

  it('finds tools, resources and prompts', async () => {
    const client = clients[0] as Client

    const tools = (await client.listTools()).tools.map(({ name }) => name)
    const templates = (await client.listResourceTemplates()).resourceTemplates
    const prompts = (await client.listPrompts()).prompts.map(({ name }) => name)

    assert.deepEqual(tools, ['cancel_order', 'get_order_status', 'orchestrate_order'])
    assert.deepEqual(
      templates.map(({ uriTemplate }) => uriTemplate),
      ['orders://{orderId}'],
    )
    assert.deepEqual(prompts, ['draft_backorder_notice', 'explain_rejection', 'investigate_order'])
  })

  it('has an order carried through, and hears of every step meanwhile', async () => {
    let told = 0
    const args = { ...mugs, idempotencyKey: randomUUID(), waitSeconds: 60 }

    const first = await call(0, 'orchestrate_order', args, () => {
      told += 1
    })
    const again = await call(1, 'orchestrate_order', args)

    assert.equal(first.value.status, 'fulfilled')
    assert.match(first.value.label.url, /\.pdf$/)
    assert.ok(told >= 5, `told ${told} times`)
    assert.equal(again.value.orderId, first.value.orderId)
    const labels = await t.rows('fulfillment', 'select 1 from shipment where order_id = $1', [
      first.value.orderId,
    ])
    assert.equal(labels.length, 1)
  })

  it('gets a handle at once, and the end from another replica', async () => {
    const args = { ...mugs, idempotencyKey: randomUUID() }

    const taken = await call(0, 'orchestrate_order', args)
    const { orderId } = taken.value
    const ended = await call(1, 'get_order_status', { orderId, waitSeconds: 60 })

    assert.equal(taken.value.status, 'running')
    assert.equal(ended.value.status, 'fulfilled')
  })

  it('is refused by a code that says what to do', async () => {
    const key = randomUUID()
    await call(0, 'orchestrate_order', { ...mugs, idempotencyKey: key, waitSeconds: 60 })
    const other = { ...mugs, lines: [{ sku: 'ABC123', quantity: 2 }], idempotencyKey: key }

    const refusals = [
      await call(0, 'orchestrate_order', other),
      await call(0, 'orchestrate_order', { ...mugs, idempotencyKey: '' }),
      await call(0, 'get_order_status', { orderId: randomUUID() }),
    ]

    assert.deepEqual(
      refusals.map(({ error }) => error?.code),
      ['idempotency_key_reused', 'invalid_arguments', 'no_such_order'],
    )
  })

  it('cancels an order, and is told when it is too late', async () => {
    const shipped = await call(0, 'orchestrate_order', {
      ...{ ...mugs, idempotencyKey: randomUUID(), waitSeconds: 60 },
    })
    const late = await call(1, 'cancel_order', { orderId: shipped.value.orderId })
    const waiting = await call(0, 'orchestrate_order', { ...mugs, idempotencyKey: randomUUID() })
    await call(1, 'cancel_order', { orderId: waiting.value.orderId })
    const ended = await call(0, 'get_order_status', {
      ...{ orderId: waiting.value.orderId, waitSeconds: 60 },
    })

    assert.equal(late.error?.code, 'too_late')
    assert.ok(['cancelled', 'fulfilled'].includes(ended.value.status))
    await waitFor(async () => (await held()) === 0, { what: 'nothing to be held' })
  })

  it('watches through one replica what happens on the other', async () => {
    const client = clients[1] as Client
    const heard = new Set<string>()
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.add(params.uri)
    })
    const subscription = await client.listen({ resourceSubscriptions: ['orders://active'] })

    const taken = await call(0, 'orchestrate_order', { ...mugs, idempotencyKey: randomUUID() })
    await waitFor(async () => heard.has('orders://active'), { what: 'the change' })
    const uri = `orders://${taken.value.orderId}`
    const status = async () => {
      const { contents } = await client.readResource({ uri })
      return JSON.parse((contents[0] as { text: string }).text).status
    }
    await waitFor(async () => (await status()) === 'fulfilled', { what: 'the end' })
    await subscription.close()
  })

  it('starts from a prompt that has the order in it', async () => {
    const args = { ...mugs, lines: [{ sku: 'NOPE', quantity: 1 }] }
    const refused = await call(0, 'orchestrate_order', {
      ...{ ...args, idempotencyKey: randomUUID(), waitSeconds: 60 },
    })
    const { orderId } = refused.value

    const prompt = await (clients[0] as Client).getPrompt({
      ...{ name: 'explain_rejection', arguments: { orderId } },
    })

    const [task, facts] = prompt.messages.map(({ content }) => (content as { text: string }).text)
    assert.match(task ?? '', /Explain to the customer/)
    assert.match(facts ?? '', /unknown_sku/)
  })

  it('does the same without MCP, over the facade', async () => {
    const url = urls[0] ?? ''
    const args = { ...mugs, idempotencyKey: randomUUID(), waitSeconds: 60 }

    const listed = await get(`${url}/tools`)
    const first = await postJson(`${url}/invoke`, { tool: 'orchestrate_order', arguments: args })
    const again = await postJson(`${url}/invoke/orchestrate_order`, args)

    assert.deepEqual(
      listed.body.tools.map(({ name }: { name: string }) => name),
      ['cancel_order', 'get_order_status', 'orchestrate_order'],
    )
    assert.equal(first.body.result.status, 'fulfilled')
    assert.equal(again.body.result.orderId, first.body.result.orderId)
  })

  it('leaves a row of every call, with nothing personal in it', async () => {
    const rows = () =>
      t.rows<{ name: string; arguments: unknown }>(
        'orchestrator',
        `select name, arguments from tool_call where name = 'orchestrate_order'`,
      )
    await waitFor(async () => (await rows()).length >= 8, { what: 'the rows' })

    assert.doesNotMatch(JSON.stringify(await rows()), /John Doe/)
    assert.match(JSON.stringify(await rows()), /ABC123/)
  })
})
