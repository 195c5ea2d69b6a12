import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { runSqlFile } from '../../../platform/migrate.ts'
import { findRecentOrders, listOrders } from '../../../services/order/order-list-store.ts'
import { recordClosed } from '../../../services/order/order-store.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'

const seed = new URL('../../../services/order/seed.sql', import.meta.url)

describe('lists of orders', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase('services/order/migrations')
    await runSqlFile(db, seed)
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => db.query(`truncate order_line, sales_order`))

  /** Puts an opened order there, `minutesAgo`; returns its id. */
  async function put(order: {
    id?: string
    round?: number
    customerId?: string
    minutesAgo?: number
    totalCents?: number
    status?: string
  }): Promise<string> {
    const { id = randomUUID(), round = 1, customerId = 'john-doe' } = order
    const { minutesAgo = 0, totalCents = 100, status = 'open' } = order
    await db.query(
      `insert into sales_order
         (order_id, round, status, content_hash, customer_id, total_cents, opened_at, closed_at)
       values ($1, $2, $3, 'hash', $4, $5, now() - make_interval(mins => $6),
               case when $3 <> 'open' then now() end)`,
      [id, round, status, customerId, totalCents, minutesAgo],
    )
    return id
  }

  const list = (more: Partial<Parameters<typeof listOrders>[1]> = {}) =>
    listOrders(db, { limit: 20, ...more })
  const ids = (orders: readonly { orderId: string }[]) => orders.map(({ orderId }) => orderId)

  it('are newest first and end without a cursor', async () => {
    const old = await put({ minutesAgo: 2 })
    const newest = await put({})
    const middle = await put({ minutesAgo: 1 })
    const page = await list()

    assert.deepEqual(ids(page.orders), [newest, middle, old])
    assert.equal(page.nextCursor, null)
  })

  it('go from page to page without losing or repeating an order, also of one moment', async () => {
    const all: string[] = []
    for (let i = 0; i < 7; i++) all.push(await put({ minutesAgo: i }))
    await db.query(`update sales_order set opened_at = '2026-01-01T00:00:00.123456Z'`)
    const seen: string[] = []
    let cursor: string | null | undefined
    do {
      const page = await list({ limit: 3, ...(cursor ? { cursor } : {}) })
      assert.ok(page.orders.length <= 3)
      seen.push(...ids(page.orders))
      cursor = page.nextCursor
    } while (cursor !== null)

    assert.deepEqual(seen.toSorted(), all.toSorted())
    assert.deepEqual(seen, seen.toSorted().reverse())
  })

  it('end exactly where the last page is full', async () => {
    await put({})
    await put({ minutesAgo: 1 })

    assert.equal((await list({ limit: 2 })).nextCursor, null)
  })

  it('keep only one customer, or one status, or both', async () => {
    const johns = await put({})
    const adas = await put({ customerId: 'ada-li', status: 'held' })
    await put({ customerId: 'ada-li', minutesAgo: 1 })

    assert.deepEqual(ids((await list({ customerId: 'john-doe' })).orders), [johns])
    assert.deepEqual(ids((await list({ status: 'held' })).orders), [adas])
    assert.deepEqual(ids((await list({ status: 'held', customerId: 'john-doe' })).orders), [])
  })

  it('show each order once, by the newest round that was opened', async () => {
    const id = await put({ minutesAgo: 5, status: 'held' })
    await put({ id, round: 2, totalCents: 200 })
    await recordClosed(db, { orderId: id, round: 3, outcome: 'cancelled', reason: 'never opened' })
    const { orders } = await list()

    assert.deepEqual(
      orders.map(({ round, totalCents, status }) => [round, totalCents, status]),
      [[2, 200, 'open']],
    )
    assert.deepEqual(ids((await list({ status: 'held' })).orders), [])
  })

  it('do not show an order that was closed and never opened', async () => {
    const closing = { orderId: randomUUID(), round: 1, outcome: 'cancelled' as const, reason: '' }
    await recordClosed(db, closing)

    assert.deepEqual((await list()).orders, [])
  })

  it('refuse a cursor that they did not give', async () => {
    const forged = ['', 'abc', Buffer.from('2026-99-99T00:00:00.000Z x').toString('base64url')]
    for (const cursor of [
      ...forged,
      Buffer.from(`2026-13-01T00:00:00.000Z ${randomUUID()}`).toString('base64url'),
    ]) {
      await assert.rejects(list({ cursor }), { kind: 'invalid', code: 'bad_cursor' }, cursor)
    }
  })

  describe('of a customer’s recent orders', () => {
    it('leave out the order itself and other customers', async () => {
      const self = await put({})
      await put({ id: self, round: 2 })
      const other = await put({ totalCents: 700 })
      await put({ customerId: 'ada-li' })

      const recent = await findRecentOrders(db, 'john-doe', self)

      assert.deepEqual(ids(recent.orders), [other])
      assert.deepEqual(recent.last24h, { count: 1, totalCents: 700 })
    })

    it('count the last 24 hours exactly, beyond the ten that they show', async () => {
      for (let i = 0; i < 12; i++) await put({ minutesAgo: i })
      await put({ minutesAgo: 24 * 60 + 1 })
      const recent = await findRecentOrders(db, 'john-doe', randomUUID())

      assert.equal(recent.orders.length, 10)
      assert.deepEqual(recent.last24h, { count: 12, totalCents: 1_200 })
    })

    it('are empty for a first order', async () => {
      assert.deepEqual(await findRecentOrders(db, 'john-doe', randomUUID()), {
        orders: [],
        last24h: { count: 0, totalCents: 0 },
      })
    })
  })

  it('never scan the whole table', async () => {
    await db.query(
      `insert into sales_order (order_id, round, status, content_hash, customer_id, opened_at)
       select gen_random_uuid(), 1, 'open', 'hash', 'ada-li', now() - make_interval(secs => n)
         from generate_series(1, 5000) n`,
    )
    await db.query(`analyze sales_order`)
    const first = await list({ limit: 1 })
    const cursor = first.nextCursor ?? assert.fail()
    const plans = await Promise.all(
      [{}, { cursor }, { status: 'held' as const }, { customerId: 'john-doe' }].map((query) =>
        planOf(db, (explained) => listOrders(explained, { limit: 20, ...query })),
      ),
    )

    for (const plan of plans) assert.doesNotMatch(plan, /Seq Scan on sales_order this/)
  })
})

/** The plan of the one query that `work` makes, with its parameters. */
async function planOf(
  db: TestDatabase,
  work: (db: TestDatabase) => Promise<unknown>,
): Promise<string> {
  let plan = ''
  const explaining = {
    query: async (sql: string, values: unknown[]) => {
      const { rows } = await db.query(`explain ${sql}`, values)
      plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      return { rows: [] }
    },
  }
  await work(explaining as unknown as TestDatabase)
  return plan
}
