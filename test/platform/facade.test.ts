/** The facade: the same tools, tokens, checks and errors as /mcp, without MCP. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { z } from 'zod'
import { rejected } from '../../platform/errors.ts'
import { defineTool, implement, readsOnly, writesOnce } from '../../platform/tool.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { postToolCall } from '../support/mcp-request.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'
import { waitFor } from '../support/wait-for.ts'

const echo = defineTool({
  ...{ name: 'echo_word', version: 3, scope: 'words:read', bound: 'none', annotations: readsOnly },
  description: 'Say a word back.',
  input: z.object({ word: z.string().min(1).max(50), loud: z.boolean().default(false) }),
  output: z.object({ word: z.string() }),
})
const keep = defineTool({
  ...{ name: 'keep_word', version: 1, scope: 'words:write', bound: 'order' },
  annotations: writesOnce,
  description: 'Keep a word for an order.',
  input: z.object({ orderId: z.uuid(), word: z.string().max(50) }),
  output: z.object({ kept: z.literal(true) }),
})
const wait = defineTool({
  ...{ name: 'await_word', version: 1, scope: 'words:read', bound: 'none', annotations: readsOnly },
  description: 'Wait until nobody wants the word any more.',
  input: z.object({}),
  output: z.object({}),
})

interface Answer {
  readonly status: number
  readonly challenge: string | null
  // biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
  readonly body: any
}

describe('the facade', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  let url = ''
  let kept: string[] = []
  let waiting = 0
  let gone = 0

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const tools = [
      implement(keep, async ({ word }) => {
        if (word === 'no') throw rejected('word_refused', 'Not that word', { next: 'Say yes.' })
        if (word === 'bug') throw new Error('secret detail')
        kept.push(word)
        return { kept: true as const }
      }),
      implement(echo, async ({ word, loud }) => ({ word: loud ? word.toUpperCase() : word })),
      implement(wait, async (_, { signal }) => {
        waiting += 1
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
        gone += 1
        return {}
      }),
    ]
    server = await testServer({ db, issuer, primitives: { tools } })
    url = server.url
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    kept = []
  })

  const tokenFor = (scope: string, orderId?: string) =>
    issuer.sign({ audience: url, clientId: 'curl', scope, orderId })
  const send = async (path: string, token?: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(new URL(path, url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const challenge = response.headers.get('www-authenticate')
    return { status: response.status, challenge, body: await response.json() }
  }

  it('lists the tools of the caller, and no others', async () => {
    const { body } = await send('/tools', await tokenFor('words:read'))

    assert.deepEqual(
      body.tools.map(({ name }: { name: string }) => name),
      ['await_word', 'echo_word'],
    )
    const [, listed] = body.tools
    assert.equal(listed.description, 'Say a word back.')
    assert.equal(listed.version, 3)
    assert.deepEqual(listed.inputSchema.required, ['word'])
    assert.deepEqual(listed.inputSchema.properties.word, {
      ...{ type: 'string', minLength: 1, maxLength: 50 },
    })
    assert.deepEqual(listed.outputSchema.required, ['word'])
    assert.deepEqual((await send('/tools', await tokenFor('other:read'))).body, { tools: [] })
    assert.equal((await send('/tools')).status, 401)
  })

  it('gives the result of a call, by path and by envelope', async () => {
    const token = await tokenFor('words:read')
    const args = { word: 'hello', loud: true }

    const byPath = await send('/invoke/echo_word', token, args)
    const byEnvelope = await send('/invoke', token, { tool: 'echo_word', arguments: args })
    const overMcp = await (await postToolCall(url, 'echo_word', args, token)).json()

    const { structuredContent } = (overMcp as { result: { structuredContent: unknown } }).result
    assert.deepEqual(byPath.body, { result: structuredContent, warnings: [] })
    assert.deepEqual(byEnvelope.body, byPath.body)
    assert.deepEqual([byPath.status, byEnvelope.status], [200, 200])
  })

  describe('refuses as /mcp does', () => {
    const orderId = randomUUID()
    const yes = { orderId, word: 'yes' }
    // What is asked, by whom, and what both doors answer.
    const refusals = [
      {
        what: 'arguments that are not valid',
        ...{ tool: 'keep_word', args: { orderId, word: 7 }, scope: 'words:write', of: orderId },
        ...{ status: 400, code: 'invalid_arguments' },
      },
      {
        what: 'a token of another order',
        ...{ tool: 'keep_word', args: yes, scope: 'words:write', of: randomUUID() },
        ...{ status: 403, code: 'order_not_bound' },
      },
      {
        what: 'a token of no order',
        ...{ tool: 'keep_word', args: yes, scope: 'words:write', of: undefined },
        ...{ status: 403, code: 'order_not_bound' },
      },
      {
        what: 'what the business refuses',
        ...{ tool: 'keep_word', args: { orderId, word: 'no' }, scope: 'words:write', of: orderId },
        ...{ status: 409, code: 'word_refused' },
      },
      {
        what: 'what fails by a bug',
        ...{ tool: 'keep_word', args: { orderId, word: 'bug' }, scope: 'words:write', of: orderId },
        ...{ status: 500, code: 'internal' },
      },
    ]
    for (const { what, tool, args, scope, of, status, code } of refusals) {
      it(what, async () => {
        const byPath = await send(`/invoke/${tool}`, await tokenFor(scope, of), args)
        const byEnvelope = await send('/invoke', await tokenFor(scope, of), {
          ...{ tool, arguments: args },
        })
        const overMcp = await postToolCall(url, tool, args, await tokenFor(scope, of))
        const { result } = (await overMcp.json()) as { result: { _meta: { error: object } } }

        const error = result._meta.error as { code: string; message: string; next: string }
        assert.equal(error.code, code)
        for (const answer of [byPath, byEnvelope]) {
          assert.equal(answer.status, status)
          const { title, next } = answer.body
          assert.deepEqual([answer.body.code, title, next], [code, error.message, error.next])
          assert.match(answer.body.traceId, /^[0-9a-f]{32}$/)
          assert.doesNotMatch(JSON.stringify(answer.body), /secret/)
        }
        assert.deepEqual(kept, [])
      })
    }

    it('a token without the scope, with a challenge', async () => {
      const token = await tokenFor('words:read', orderId)
      const answer = await send('/invoke/keep_word', token, yes)
      const overMcp = await postToolCall(url, 'keep_word', yes, token)

      assert.deepEqual([answer.status, answer.body.code], [403, 'insufficient_scope'])
      assert.equal(overMcp.status, 403)
      for (const challenge of [answer.challenge, overMcp.headers.get('www-authenticate')]) {
        assert.match(challenge ?? '', /^Bearer .*insufficient_scope.*scope="words:write"/)
        assert.match(challenge ?? '', /resource_metadata="http/)
      }
      assert.deepEqual(kept, [])
    })

    it('no token, and one that is not valid, with a challenge', async () => {
      const none = await send('/invoke/keep_word', undefined, yes)
      const bad = await send('/invoke', 'abc', { tool: 'keep_word', arguments: yes })

      assert.deepEqual([none.status, none.body.code], [401, 'missing_token'])
      assert.deepEqual([bad.status, bad.body.code], [401, 'invalid_token'])
      for (const { challenge } of [none, bad]) {
        assert.match(challenge ?? '', /^Bearer .*resource_metadata="http/)
      }
      assert.deepEqual(kept, [])
    })

    it('a tool that is none', async () => {
      const token = await tokenFor('words:read')
      const byPath = await send('/invoke/nothing', token, {})
      const byEnvelope = await send('/invoke', token, { tool: 'nothing' })

      for (const { status, body } of [byPath, byEnvelope]) {
        assert.deepEqual([status, body.code], [404, 'no_such_tool'])
      }
    })

    it('an envelope that is none', async () => {
      const token = await tokenFor('words:read')
      for (const body of [{}, [], { tool: 7 }, { tool: 'echo_word', args: {} }]) {
        const answer = await send('/invoke', token, body)
        assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_arguments'])
      }
    })
  })

  it('tells a handler that whoever asked is gone', async () => {
    const leaving = new AbortController()
    const token = await tokenFor('words:read')
    const call = fetch(new URL('/invoke/await_word', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{}',
      signal: leaving.signal,
    })
    await waitFor(() => waiting === 1, { what: 'the handler to run' })

    leaving.abort()

    await assert.rejects(call, { name: 'AbortError' })
    await waitFor(() => gone === 1, { what: 'the handler to hear of it' })
  })
})
