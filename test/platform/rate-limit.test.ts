/** How many requests a client may make: the arithmetic by itself, and the answer over HTTP. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import type { AppError } from '../../platform/errors.ts'
import { createRateLimit } from '../../platform/rate-limit.ts'
import { defineTool, implement, readsOnly } from '../../platform/tool.ts'
import { testDatabase } from '../support/database.ts'
import { postToolCall } from '../support/mcp-request.ts'
import { testIssuer } from '../support/test-issuer.ts'
import { testServer } from '../support/test-server.ts'

describe('a rate limit', () => {
  const clock = { ms: 1_000 }
  /** How many of `wanted` requests are let through. */
  const admitted = (admit: (clientId: string) => void, wanted: number, clientId = 'a') => {
    let count = 0
    for (let i = 0; i < wanted; i++) {
      try {
        admit(clientId)
        count += 1
      } catch (error) {
        assert.equal((error as AppError).code, 'rate_limited')
      }
    }
    return count
  }
  const limit = (perSecond: number, burst: number) =>
    createRateLimit(perSecond, burst, () => clock.ms)

  it('lets a burst through at once, and then so many a second', () => {
    const admit = limit(10, 5)

    assert.equal(admitted(admit, 8), 5)
    clock.ms += 100
    assert.equal(admitted(admit, 8), 1)
    clock.ms += 250
    assert.equal(admitted(admit, 8), 2)
    clock.ms += 50
    assert.equal(admitted(admit, 8), 1, 'the half that was left counts')
  })

  it('saves up no more than a burst', () => {
    const admit = limit(10, 5)
    admitted(admit, 5)
    clock.ms += 60 * 60_000
    assert.equal(admitted(admit, 20), 5)
  })

  it('takes nothing for what it refuses', () => {
    const admit = limit(1, 1)
    admitted(admit, 1)
    clock.ms += 900
    assert.equal(admitted(admit, 50), 0)
    clock.ms += 100
    assert.equal(admitted(admit, 50), 1)
  })

  it('says after how many seconds to come back', () => {
    const admit = createRateLimit(0.1, 1, () => clock.ms)
    admit('a')
    assert.throws(() => admit('a'), {
      ...{ kind: 'unavailable', code: 'rate_limited' },
      http: { status: 429, headers: { 'retry-after': '10' } },
    })
  })

  it('counts every client by itself', () => {
    const admit = limit(1, 2)
    assert.equal(admitted(admit, 9, 'a'), 2)
    assert.equal(admitted(admit, 9, 'b'), 2)
  })

  it('forgets the client that was quiet for longest when there are too many', () => {
    const admit = limit(1, 1)
    admit('first')
    admit('second')
    for (let i = 0; i < 9_998; i++) admit(`client ${i}`)
    assert.equal(admitted(admit, 1, 'first'), 0, 'all ten thousand are known')

    admit('one more')

    assert.equal(admitted(admit, 1, 'first'), 0, 'it asked just now')
    assert.equal(admitted(admit, 1, 'second'), 1)
  })

  it('is answered 429 with Retry-After by both doors, and touches no other client', async () => {
    await using issuer = await testIssuer()
    await using db = await testDatabase('platform/migrations')
    let calls = 0
    const echo = defineTool({
      ...{ name: 'echo_word', version: 1, scope: 'words:read', bound: 'none' },
      ...{ annotations: readsOnly, description: 'Say a word back.' },
      ...{ input: z.object({}), output: z.object({}) },
    })
    const tools = [
      implement(echo, async () => {
        calls += 1
        return {}
      }),
    ]
    await using server = await testServer({ db, issuer, primitives: { tools }, rate: [0.01, 2] })
    const tokenOf = (clientId: string) =>
      issuer.sign({ audience: server.url, clientId, scope: 'words:read' })
    const greedy = await tokenOf('greedy')
    const overMcp = (token: string) => postToolCall(server.url, echo.name, {}, token)
    const byFacade = (token: string) =>
      fetch(new URL('/invoke/echo_word', server.url), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
      })

    assert.equal((await overMcp(greedy)).status, 200)
    assert.equal((await byFacade(greedy)).status, 200)
    for (const response of [await overMcp(greedy), await byFacade(greedy)]) {
      assert.equal(response.status, 429)
      const seconds = Number(response.headers.get('retry-after'))
      assert.ok(seconds >= 1 && seconds <= 100, `${seconds}`)
      assert.equal(((await response.json()) as { code: string }).code, 'rate_limited')
    }
    assert.equal(calls, 2)
    assert.equal((await overMcp(await tokenOf('modest'))).status, 200)
  })
})
