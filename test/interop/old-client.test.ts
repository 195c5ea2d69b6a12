/** The last client of the 2025 protocol, @modelcontextprotocol/sdk 1.32, against the inventory service. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { type InventoryServer, startInventoryServer } from './inventory-server.ts'

describe('an old MCP client', () => {
  let server: InventoryServer
  let client: Client

  const connect = async (token: string): Promise<Client> => {
    const old = new Client({ name: 'old', version: '1' })
    const requestInit = { headers: { authorization: `Bearer ${token}` } }
    await old.connect(new StreamableHTTPClientTransport(server.mcpUrl, { requestInit }))
    return old
  }

  before(async () => {
    server = await startInventoryServer()
    client = await connect(await server.tokenFor('inventory:read'))
  })
  after(async () => {
    await client.close()
    await server[Symbol.asyncDispose]()
  })

  it('learns who the server is and what its token may use', async () => {
    const { tools } = await client.listTools()

    assert.equal(client.getServerVersion()?.name, 'inventory')
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['find_substitutes', 'get_restock_date', 'get_stock'],
    )
  })

  it('calls a tool, and checks the result against the schema that it was shown', async () => {
    await client.listTools()

    const result = await client.callTool({ name: 'get_stock', arguments: { skus: ['ABC123'] } })

    assert.deepEqual(result.structuredContent, {
      stock: [{ sku: 'ABC123', name: 'Ceramic mug', available: 100 }],
    })
  })

  it('gets a refusal as a result that says what to do', async () => {
    const result = await client.callTool({ name: 'get_stock', arguments: { skus: [] } })

    assert.equal(result.isError, true)
    assert.match(JSON.stringify(result.content), /invalid_arguments/)
  })

  it('gets an error for a tool that does not exist', async () => {
    await assert.rejects(client.callTool({ name: 'steal_stock', arguments: {} }), /steal_stock/)
  })

  it('lists and reads resources', async () => {
    const { resources } = await client.listResources()
    const { resourceTemplates } = await client.listResourceTemplates()
    const { contents } = await client.readResource({ uri: 'inventory://stock/ABC123' })

    assert.ok(resources.some(({ uri }) => uri === 'inventory://stock/ABC123'))
    assert.deepEqual(
      resourceTemplates.map(({ uriTemplate }) => uriTemplate),
      ['inventory://stock/{sku}'],
    )
    assert.equal(JSON.parse((contents[0] as { text: string }).text).available, 100)
    await assert.rejects(client.readResource({ uri: 'inventory://stock/XXX000' }))
  })

  it('lists and gets prompts', async () => {
    const { prompts } = await client.listPrompts()
    const args = { name: 'draft_backorder_notice', arguments: { sku: 'DEF456' } }
    const { messages } = await client.getPrompt(args)

    assert.deepEqual(
      prompts.map(({ name }) => name),
      ['draft_backorder_notice'],
    )
    assert.match(JSON.stringify(messages), /DEF456/)
  })

  it('is refused with a wrong token, and with one that lacks the scope', async () => {
    await assert.rejects(connect('wrong'), /invalid_token|401/)

    const other = await connect(await server.tokenFor('inventory:check'))
    const call = other.callTool({ name: 'get_stock', arguments: { skus: ['ABC123'] } })
    await assert.rejects(call, /insufficient_scope|403/)
    await other.close()
  })
})
