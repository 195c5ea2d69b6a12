/** Callers that state which version of a tool they were written for, through both doors. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { z } from 'zod'
import { defineTool, implement, readsOnly } from '../../platform/tool.ts'
import { versionHeader, versionMetaKey } from '../../platform/tool-version.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { askMcp } from '../support/mcp-request.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'

const echo = defineTool({
  ...{ name: 'echo_word', scope: 'words:read', bound: 'none', annotations: readsOnly },
  ...{ version: 5, oldestVersion: 3 },
  description: 'Say a word back.',
  input: z.object({ word: z.string().max(50) }),
  output: z.object({ word: z.string() }),
})
/** It has no older versions that still work. */
const strict = defineTool({ ...echo, name: 'strict_word', version: 2, oldestVersion: 2 })

interface Outcome {
  readonly code: string | undefined
  readonly warnings: readonly { readonly code: string; readonly next: string }[] | undefined
}

describe('a stated version of a tool', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  let token = ''
  let calls = 0

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const tools = [echo, strict].map((contract) =>
      implement(contract, async ({ word }) => {
        calls += 1
        return { word }
      }),
    )
    server = await testServer({ db, issuer, primitives: { tools } })
    token = await issuer.sign({ audience: server.url, clientId: 'c', scope: 'words:read' })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    calls = 0
  })

  const overMcp = async (meta: object, headers: Record<string, string>, name = echo.name) => {
    const params = { name, arguments: { word: 'a' }, _meta: meta }
    const { result } = await askMcp(server.url, { method: 'tools/call', params, token, headers })
    return { code: result._meta?.error?.code, warnings: result._meta?.warnings }
  }
  const byFacade = async (headers: Record<string, string>, name = echo.name) => {
    const response = await fetch(new URL(`/invoke/${name}`, server.url), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
      body: '{"word":"a"}',
    })
    const { code, warnings } = (await response.json()) as Outcome
    return { code, warnings: warnings?.length === 0 ? undefined : warnings }
  }
  /** The same statement in every place where it can be made. */
  const everywhere = async (stated: number | string, name?: string): Promise<Outcome[]> => [
    await overMcp({ [versionMetaKey]: stated }, {}, name),
    await overMcp({}, { [versionHeader]: String(stated) }, name),
    await byFacade({ [versionHeader]: String(stated) }, name),
  ]

  it('that is the present one changes nothing, nor does none', async () => {
    const outcomes = [...(await everywhere(5)), await overMcp({}, {}), await byFacade({})]
    for (const outcome of outcomes) {
      assert.deepEqual(outcome, { code: undefined, warnings: undefined })
    }
    assert.equal(calls, 5)
  })

  it('that is old but served gets a warning that says what to do', async () => {
    for (const { code, warnings } of [...(await everywhere(3)), ...(await everywhere(4))]) {
      assert.equal(code, undefined)
      assert.deepEqual(
        warnings?.map((warning) => warning.code),
        ['tool_version_old'],
      )
      assert.match(warnings?.[0]?.next ?? '', /state version 5/)
    }
    assert.equal(calls, 6)
  })

  it('that is too old is refused, and nothing runs', async () => {
    const outcomes = [...(await everywhere(2)), ...(await everywhere(1, strict.name))]
    for (const { code } of outcomes) assert.equal(code, 'tool_version_too_old')
    assert.equal(calls, 0)
  })

  it('that is newer is for another replica', async () => {
    for (const { code } of await everywhere(6)) assert.equal(code, 'tool_version_unknown')
    assert.equal(calls, 0)
  })

  it('that is no version is refused', async () => {
    for (const stated of ['0', '-1', '1.5', 'five', '5x', '0x5', '5e0', '1, 2', '99999999999']) {
      for (const { code } of await everywhere(stated)) {
        assert.equal(code, 'invalid_tool_version', stated)
      }
    }
    for (const stated of [0, -1, 1.5, true, null, [5], {}, '', ' 5']) {
      const { code } = await overMcp({ [versionMetaKey]: stated }, {})
      assert.equal(code, 'invalid_tool_version', JSON.stringify(stated))
    }
    assert.equal(calls, 0)
  })

  it('counts in the message before the header', async () => {
    const outcome = await overMcp({ [versionMetaKey]: 5 }, { [versionHeader]: '1' })
    assert.equal(outcome.code, undefined)
  })
})
