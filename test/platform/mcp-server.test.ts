/** The MCP endpoint as clients of both protocol eras see it, over real HTTP. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  checkResourceAllowed,
  discoverOAuthProtectedResourceMetadata,
  extractWWWAuthenticateParams,
} from '@modelcontextprotocol/client'
import { z } from 'zod'
import { rejected } from '../../platform/errors.ts'
import { createMcpCaller, type McpCaller } from '../../platform/mcp-client.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { defineTool, implement, readsOnly, writesOnce } from '../../platform/tool.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { oldClient } from '../support/old-client.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'

const echo = defineTool({
  name: 'echo',
  description: 'Say a word back.',
  version: 3,
  scope: 'words:read',
  bound: 'none',
  annotations: readsOnly,
  input: z.object({ word: z.string().min(1) }),
  output: z.object({ word: z.string() }),
})
const keep = defineTool({
  name: 'keep',
  description: 'Keep a word for an order.',
  version: 1,
  scope: 'words:write',
  bound: 'order',
  annotations: writesOnce,
  input: z.object({ orderId: z.uuid(), word: z.string() }),
  output: z.object({ kept: z.literal(true) }),
})

describe('an MCP endpoint', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  let url = ''
  let caller: McpCaller

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const tools = [
      implement(keep, async ({ word }) => {
        if (word === 'no') throw rejected('word_refused', 'Not that word', { next: 'Say yes.' })
        if (word === 'bug') throw new Error('secret detail')
        return { kept: true as const }
      }),
      implement(echo, async ({ word }) => ({ word })),
    ]
    server = await testServer({ db, issuer, primitives: { tools } })
    url = server.url
    caller = createMcpCaller({
      server: 'words',
      baseUrl: url,
      authorize: issuer.authorize(url),
      metrics: createMetrics('test'),
    })
  })
  after(async () => {
    await caller.close()
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  const options = { timeoutMs: 5_000, traceId: 'a'.repeat(32) }

  const old = async (scope: string) =>
    oldClient(url, await issuer.sign({ audience: url, clientId: 'old', scope }))

  it('serves our own client of the 2026 protocol', async () => {
    assert.deepEqual(await caller.call(echo, { word: 'hello' }, options), { word: 'hello' })
  })

  it('serves an old client: list, version, call', async () => {
    const client = await old('words:read words:write')

    const { tools } = await client.listTools()
    const result = await client.callTool({ name: 'echo', arguments: { word: 'hello' } })
    await client.close()

    assert.deepEqual(
      tools.map((tool) => [tool.name, tool._meta?.version]),
      [
        ['echo', 3],
        ['keep', 1],
      ],
    )
    assert.deepEqual(result.structuredContent, { word: 'hello' })
  })

  it('shows a caller only the tools of its scopes', async () => {
    const client = await old('words:read')
    const { tools } = await client.listTools()
    await client.close()
    assert.deepEqual(
      tools.map((tool) => tool.name),
      ['echo'],
    )
  })

  it('carries kind, code, message and next of a refusal to the caller', async () => {
    const orderId = randomUUID()
    await assert.rejects(caller.call(keep, { orderId, word: 'no' }, { ...options, orderId }), {
      kind: 'rejected',
      code: 'word_refused',
      next: 'Say yes.',
    })
  })

  it('hides what a bug says', async () => {
    const orderId = randomUUID()
    const call = caller.call(keep, { orderId, word: 'bug' }, { ...options, orderId })
    await assert.rejects(call, (error: Error & { kind?: string }) => {
      assert.equal(error.kind, 'internal')
      assert.doesNotMatch(error.message, /secret/)
      return true
    })
  })

  it('refuses a token of another order', async () => {
    const call = caller.call(
      keep,
      { orderId: randomUUID(), word: 'yes' },
      { ...options, orderId: randomUUID() },
    )
    await assert.rejects(call, { kind: 'denied', code: 'order_not_bound' })
  })

  it('refuses input that breaks the schema as invalid', async () => {
    await assert.rejects(caller.call(echo, { word: '' }, options), { kind: 'invalid' })
  })

  it('answers 401 without a token and 403 without the scope, with a challenge', async () => {
    const body = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'keep', arguments: { orderId: randomUUID(), word: 'yes' } },
    }
    const post = (headers: Record<string, string>) =>
      fetch(`${url}/mcp`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        },
        body: JSON.stringify(body),
      })
    const readOnly = await issuer.sign({ audience: url, clientId: 'c', scope: 'words:read' })

    const without = await post({})
    const wrongScope = await post({ authorization: `Bearer ${readOnly}` })
    const foreignOrigin = await post({ origin: 'https://elsewhere.example' })

    assert.equal(without.status, 401)
    assert.match(without.headers.get('www-authenticate') ?? '', /resource_metadata="/)
    assert.equal(wrongScope.status, 403)
    assert.match(
      wrongScope.headers.get('www-authenticate') ?? '',
      /insufficient_scope.*scope="words:write"/,
    )
    assert.equal(foreignOrigin.status, 403)
  })

  it('tells where tokens come from, at the place that its challenges name', async () => {
    const challenge = await fetch(`${url}/mcp`, { method: 'POST' })
    const named = /resource_metadata="([^"]*)"/.exec(
      challenge.headers.get('www-authenticate') ?? '',
    )?.[1]
    const response = await fetch(named ?? '')

    // RFC 9728, 3.1: `resource` with the well-known path inserted is where the document is.
    assert.equal(named, `${url}/.well-known/oauth-protected-resource`)
    assert.deepEqual(await response.json(), {
      resource: url,
      authorization_servers: [issuer.url],
      scopes_supported: ['words:read', 'words:write'],
      bearer_methods_supported: ['header'],
    })
    // RFC 9728, 3.3: what is here would have to name the resource `<base>/mcp`.
    assert.equal((await fetch(`${url}/.well-known/oauth-protected-resource/mcp`)).status, 404)
  })

  it('is found by MCP clients, with and without a challenge, as the resource of tokens', async () => {
    const server = `${url}/mcp`
    const challenge = await fetch(server, { method: 'POST' })
    const { resourceMetadataUrl } = extractWWWAuthenticateParams(challenge)

    for (const options of [resourceMetadataUrl ? { resourceMetadataUrl } : {}, {}]) {
      const metadata = await discoverOAuthProtectedResourceMetadata(server, options)
      assert.equal(metadata.resource, url)
      const allowed = { requestedResource: server, configuredResource: metadata.resource }
      assert.equal(checkResourceAllowed(allowed), true)
    }
  })
})
