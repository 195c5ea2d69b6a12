/** The MCP Inspector 2 against the inventory service, in each of its protocol eras. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { testDir } from '../support/work-dir.ts'
import { type Era, inspect } from './inspector.ts'
import { type InventoryServer, startInventoryServer } from './inventory-server.ts'

const eras: readonly Era[] = ['modern', 'legacy', 'auto']

describe('the MCP Inspector', () => {
  let server: InventoryServer
  const home = testDir()

  before(async () => {
    server = await startInventoryServer()
  })
  after(() => server[Symbol.asyncDispose]())

  const ask = async (era: Era, ...words: string[]) => {
    const token = await server.tokenFor('inventory:read')
    const { exitCode, result, errors } = await inspect({
      ...{ url: server.mcpUrl, era, token, home },
      ask: words,
    })
    assert.equal(exitCode, 0, errors)
    return result as Record<string, unknown>
  }

  for (const era of eras) {
    it(`lists tools whose schemas are portable (${era})`, async () => {
      const { tools } = await ask(era, 'tools/list', '--strict')

      assert.deepEqual(
        (tools as { name: string }[]).map(({ name }) => name),
        ['find_substitutes', 'get_restock_date', 'get_stock'],
      )
    })

    it(`calls a tool (${era})`, async () => {
      const words = ['tools/call', '--tool-name', 'get_stock', '--tool-arg', 'skus=["ABC123"]']
      const { structuredContent } = await ask(era, ...words)

      assert.deepEqual(structuredContent, {
        stock: [{ sku: 'ABC123', name: 'Ceramic mug', available: 100 }],
      })
    })

    it(`reads a resource (${era})`, async () => {
      const uri = 'inventory://stock/ABC123'
      const { contents } = await ask(era, 'resources/read', '--uri', uri)

      const [content] = contents as { uri: string; text: string }[]
      assert.equal(content?.uri, uri)
      assert.equal(JSON.parse(content?.text ?? '').available, 100)
    })

    it(`gets a prompt (${era})`, async () => {
      const words = ['--prompt-name', 'draft_backorder_notice', '--prompt-args', 'sku=DEF456']
      const { messages } = await ask(era, 'prompts/get', ...words)

      assert.match(JSON.stringify(messages), /DEF456/)
    })

    it(`is refused with a wrong token (${era})`, async () => {
      const { exitCode, errors } = await inspect({
        ...{ url: server.mcpUrl, era, token: 'wrong', home },
        ask: ['tools/list'],
      })

      assert.notEqual(exitCode, 0)
      assert.match(errors, /401|[Uu]nauthorized|auth/)
    })
  }
})
