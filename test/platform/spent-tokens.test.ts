/** Access tokens of writes work once, on all replicas together. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { z } from 'zod'
import { forgetOldCalls } from '../../platform/spent-tokens.ts'
import { defineTool, implement, readsOnly, writesOnce } from '../../platform/tool.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { postToolCall } from '../support/mcp-request.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'

const order = z.object({ orderId: z.uuid() })
const keep = defineTool({
  ...{ name: 'keep_order', version: 1, scope: 'orders:write', bound: 'order' },
  ...{ annotations: writesOnce, description: 'Keep an order.', input: order, output: order },
})
const get = defineTool({
  ...{ name: 'get_order', version: 1, scope: 'orders:read', bound: 'order' },
  ...{ annotations: readsOnly, description: 'Read an order.', input: order, output: order },
})
const audience = 'http://orders.test'

describe('an access token', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  const replicas: TestServer[] = []
  const orderId = randomUUID()
  let writes = 0

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const tools = [
      implement(keep, async (input) => {
        writes += 1
        return input
      }),
      implement(get, async (input) => input),
    ]
    for (let i = 0; i < 2; i++) {
      replicas.push(await testServer({ db, issuer, audience, primitives: { tools } }))
    }
  })
  after(async () => {
    for (const replica of replicas) await replica[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    writes = 0
    await db.query('truncate spent_token')
  })

  const tokenFor = (scope: string) => issuer.sign({ audience, clientId: 'c', scope, orderId })
  const urlOf = (i: number) => replicas[i % replicas.length]?.url ?? ''
  /** `ok`, or the code of the refusal. */
  const overMcp = async (replica: number, name: string, token: string): Promise<string> => {
    const response = await postToolCall(urlOf(replica), name, { orderId }, token)
    const { result } = (await response.json()) as {
      result: { _meta?: { error?: { code: string } } }
    }
    return result._meta?.error?.code ?? 'ok'
  }
  const byFacade = async (replica: number, name: string, token: string): Promise<string> => {
    const response = await fetch(new URL(`/invoke/${name}`, urlOf(replica)), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ orderId }),
    })
    return ((await response.json()) as { code?: string }).code ?? 'ok'
  }

  it('writes once, whichever door and replica it comes to again', async () => {
    const token = await tokenFor('orders:write')

    assert.equal(await overMcp(0, keep.name, token), 'ok')
    assert.equal(await overMcp(0, keep.name, token), 'token_replayed')
    assert.equal(await overMcp(1, keep.name, token), 'token_replayed')
    assert.equal(await byFacade(1, keep.name, token), 'token_replayed')
    assert.equal(writes, 1)
    assert.equal(await overMcp(1, keep.name, await tokenFor('orders:write')), 'ok')
    assert.equal(writes, 2)
  })

  it('writes once when it comes ten times at once', async () => {
    const token = await tokenFor('orders:write')
    const codes = await Promise.all(
      Array.from({ length: 10 }, (_, i) => overMcp(i, keep.name, token)),
    )

    assert.deepEqual(codes.toSorted(), ['ok', ...Array(9).fill('token_replayed')])
    assert.equal(writes, 1)
  })

  it('reads as often as it likes', async () => {
    const token = await tokenFor('orders:read')
    const codes = await Promise.all([0, 1, 0, 1].map((i) => overMcp(i, get.name, token)))

    assert.deepEqual(codes, ['ok', 'ok', 'ok', 'ok'])
    assert.equal((await db.query('select 1 from spent_token')).rowCount, 0)
  })

  it('is not spent by a call that is refused before', async () => {
    const token = await tokenFor('orders:write')
    const response = await postToolCall(urlOf(0), keep.name, { orderId: randomUUID() }, token)
    assert.match(await response.text(), /order_not_bound/)

    assert.equal(await overMcp(0, keep.name, token), 'ok')
  })

  it('is remembered until nobody takes it any more, and then forgotten', async () => {
    const token = await tokenFor('orders:write')
    await overMcp(0, keep.name, token)

    await forgetOldCalls(db, 30)
    assert.equal(await overMcp(0, keep.name, token), 'token_replayed')
    const { rows } = await db.query(
      `select expires_at - now() > interval '150 seconds' as kept from spent_token`,
    )
    assert.deepEqual(rows, [{ kept: true }], 'longer than its two minutes and the skew of clocks')

    await db.query(`update spent_token set expires_at = now() - interval '1 second'`)
    await forgetOldCalls(db, 30)
    assert.equal((await db.query('select 1 from spent_token')).rowCount, 0)
  })

  it('is forgotten as fast as they come, however many they are', async () => {
    await db.query(
      `insert into spent_token select 'old-' || i, now() - interval '1 second'
         from generate_series(1, 25000) i`,
    )
    await forgetOldCalls(db, 30)
    assert.equal((await db.query('select 1 from spent_token')).rowCount, 0)
  })
})
