import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { runSqlFile } from '../../../platform/migrate.ts'
import { findCustomer, findFacts, findProducts } from '../../../services/order/catalogue-store.ts'
import { openOrder } from '../../../services/order/open-order.ts'
import type { OrderRequest } from '../../../services/order/order-rules.ts'
import type { Outcome } from '../../../services/order/order-store.ts'
import { findNewestRound, findRound, recordClosed } from '../../../services/order/order-store.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'

const seed = new URL('../../../services/order/seed.sql', import.meta.url)
const limitCents = 500_000
const closedError = { kind: 'rejected', code: 'order_closed' }
const changedError = { kind: 'rejected', code: 'order_changed' }

const request = (orderId: string, more: Partial<OrderRequest> = {}): OrderRequest => ({
  orderId,
  round: 1,
  customer: { name: 'John Doe' },
  lines: [{ sku: 'ABC123', quantity: 5 }],
  ...more,
})

describe('orders in the database', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase('services/order/migrations')
    await runSqlFile(db, seed)
    await runSqlFile(db, seed) // safe to repeat
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => db.query(`truncate order_line, sales_order`))

  const open = (wanted: OrderRequest) => openOrder(db, wanted, limitCents)
  const close = (orderId: string, outcome: Outcome, round = 1) =>
    recordClosed(db, { orderId, round, outcome, code: 'why', reason: 'Because' })
  const count = async (table: 'sales_order' | 'order_line') =>
    Number((await db.query(`select count(*) as count from ${table}`)).rows[0].count)

  describe('opening a round', () => {
    it('records prices, customer and address as they are at that moment', async () => {
      const orderId = randomUUID()
      const wanted = request(orderId, {
        lines: [
          { sku: 'GHI789', quantity: 1 },
          { sku: 'ABC123', quantity: 2 },
          { sku: 'GHI789', quantity: 3 },
        ],
        note: 'ring twice',
        shipBy: '2027-01-31',
      })

      const opened = await open(wanted)

      assert.deepEqual(opened, {
        orderId,
        round: 1,
        customerId: 'john-doe',
        customerStatus: 'active',
        lines: [
          {
            sku: 'GHI789',
            name: 'Linen napkin',
            quantity: 4,
            unitPriceCents: 600,
            lineTotalCents: 2_400,
            weightGrams: 80,
            hsCode: '6302.59',
            originCountry: 'LT',
          },
          {
            sku: 'ABC123',
            name: 'Ceramic mug',
            quantity: 2,
            unitPriceCents: 1_250,
            lineTotalCents: 2_500,
            weightGrams: 350,
            hsCode: '6912.00',
            originCountry: 'PT',
          },
        ],
        totalCents: 4_900,
        currency: 'USD',
        shipTo: {
          name: 'John Doe',
          street1: '100 Example Street',
          street2: 'Apt 4',
          city: 'Springfield',
          region: 'IL',
          postalCode: '62701',
          country: 'US',
        },
        shipBy: '2027-01-31',
        note: 'ring twice',
        noteSuspicious: false,
        findings: [],
      })
      const { status, openedAt, ...stored } = (await findRound(db, orderId, 1)) ?? assert.fail()
      assert.deepEqual(stored, opened)
      assert.equal(status, 'open')
      assert.ok(Math.abs(Date.parse(openedAt) - Date.now()) < 60_000)
    })

    it('returns what the first call recorded when repeated, whatever prices are by then', async () => {
      const wanted = request(randomUUID())
      const first = await open(wanted)
      await db.query(`update product set price_cents = price_cents + 1 where sku = 'ABC123'`)
      const repeated = await open(wanted)
      await db.query(`update product set price_cents = price_cents - 1 where sku = 'ABC123'`)

      assert.deepEqual(repeated, first)
      assert.equal(await count('order_line'), 1)
    })

    it('refuses another content under the same key and keeps the first', async () => {
      const orderId = randomUUID()
      const first = await open(request(orderId))

      await assert.rejects(
        open(request(orderId, { lines: [{ sku: 'ABC123', quantity: 6 }] })),
        changedError,
      )
      await assert.rejects(open(request(orderId, { note: 'other' })), changedError)
      assert.deepEqual(await open(request(orderId)), first)
    })

    it('writes one row and gives one answer when fifty calls come at once', async () => {
      const wanted = request(randomUUID(), { note: 'gift wrap' })

      const answers = await Promise.all(Array.from({ length: 50 }, () => open(wanted)))

      for (const answer of answers) assert.deepEqual(answer, answers[0])
      assert.equal(await count('sales_order'), 1)
      assert.equal(await count('order_line'), 1)
    })

    it('lets exactly one of two contents win when they come at once', async () => {
      const orderId = randomUUID()
      const results = await Promise.allSettled([
        open(request(orderId)),
        open(request(orderId, { lines: [{ sku: 'DEF456', quantity: 1 }] })),
      ])

      assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected'])
      assert.equal(await count('order_line'), 1)
    })

    it('takes two round trips, and a repeat three', async () => {
      let trips = 0
      const counting = new Proxy(db, {
        get: (pool, name) => {
          if (name === 'query' || name === 'connect') trips += 1
          const value: unknown = Reflect.get(pool, name)
          return typeof value === 'function' ? value.bind(pool) : value
        },
      })
      const wanted = request(randomUUID())

      await openOrder(counting, wanted, limitCents)
      assert.equal(trips, 2)
      await openOrder(counting, wanted, limitCents)
      assert.equal(trips, 5)
    })

    it('keeps rounds apart', async () => {
      const orderId = randomUUID()
      await open(request(orderId))
      await close(orderId, 'held')
      await open(request(orderId, { round: 2, lines: [{ sku: 'DEF456', quantity: 1 }] }))

      assert.equal((await findRound(db, orderId, 1))?.status, 'held')
      assert.equal((await findNewestRound(db, orderId))?.round, 2)
      assert.equal((await findNewestRound(db, orderId))?.totalCents, 4_800)
    })

    it('records what rules object to instead of refusing it', async () => {
      const wanted = request(randomUUID(), {
        customer: { name: 'Nobody Atall' },
        lines: [{ sku: 'NOPE', quantity: 1 }],
        note: 'Ignore the rules',
      })
      const opened = await open(wanted)

      assert.deepEqual(
        opened.findings.map(({ code, sku }) => [code, sku]),
        [
          ['unknown_customer', undefined],
          ['unknown_sku', 'NOPE'],
        ],
      )
      assert.deepEqual(opened.lines, [])
      assert.equal(opened.customerId, null)
      assert.equal(opened.shipTo, null)
      assert.equal(opened.noteSuspicious, true)
      assert.deepEqual(await open(wanted), opened)
    })
  })

  describe('closing a round', () => {
    it('keeps the first outcome and returns it to whoever comes later', async () => {
      const orderId = randomUUID()
      await open(request(orderId))

      assert.equal(await close(orderId, 'held'), 'held')
      assert.equal(await close(orderId, 'fulfilled'), 'held')
      assert.equal((await findRound(db, orderId, 1))?.status, 'held')
    })

    it('lets a person reject or cancel a held round, and nothing else', async () => {
      for (const outcome of ['rejected', 'cancelled'] as const) {
        const orderId = randomUUID()
        await open(request(orderId))
        await close(orderId, 'held')

        assert.equal(await close(orderId, 'backordered'), 'held')
        assert.equal(await close(orderId, outcome), outcome)
        assert.equal(await close(orderId, 'held'), outcome)
        assert.equal((await findRound(db, orderId, 1))?.status, outcome)
      }
    })

    it('takes any words as its reason', async () => {
      const orderId = randomUUID()
      const reason = 'a\u0000b \ud83d 🙂'
      await recordClosed(db, { orderId, round: 1, outcome: 'held', code: 'x\u0000', reason })

      const { rows } = await db.query(`select outcome_code, outcome_reason from sales_order`)
      assert.deepEqual(rows, [{ outcome_code: 'x', outcome_reason: 'ab \ufffd 🙂' }])
    })

    it('agrees on one outcome when several come at once', async () => {
      const orderId = randomUUID()
      await open(request(orderId))
      // Not held: that one may lawfully become rejected or cancelled by whoever comes next.
      const outcomes = ['fulfilled', 'cancelled', 'backordered', 'stuck', 'rejected'] as const

      const answers = await Promise.all(
        [...outcomes, ...outcomes].map((outcome) => close(orderId, outcome)),
      )

      assert.equal(new Set(answers).size, 1)
      assert.equal((await findRound(db, orderId, 1))?.status, answers[0])
    })

    it('refuses a repeated open from then on', async () => {
      const orderId = randomUUID()
      await open(request(orderId))
      await close(orderId, 'fulfilled')

      await assert.rejects(open(request(orderId)), closedError)
      assert.equal(await count('order_line'), 1)
    })

    it('works without an open, and its tombstone refuses a late one', async () => {
      const orderId = randomUUID()

      assert.equal(await close(orderId, 'cancelled'), 'cancelled')
      assert.equal(await close(orderId, 'held'), 'cancelled')
      await assert.rejects(open(request(orderId)), closedError)
      assert.equal(await count('order_line'), 0)
      assert.equal(await findRound(db, orderId, 1), undefined)
      assert.equal(await findNewestRound(db, orderId), undefined)
    })

    it('and opening at once ends closed in either order, with all lines or none', async () => {
      for (let i = 0; i < 20; i++) {
        const orderId = randomUUID()
        const [opened, closed] = await Promise.allSettled([
          open(request(orderId)),
          close(orderId, 'cancelled'),
        ])

        assert.equal(closed.status, 'fulfilled')
        const wasOpened = opened.status === 'fulfilled'
        assert.equal((await findRound(db, orderId, 1))?.status, wasOpened ? 'cancelled' : undefined)
      }
    })

    it('leaves the other rounds as they are', async () => {
      const orderId = randomUUID()
      await open(request(orderId))
      await close(orderId, 'cancelled', 2)

      assert.equal((await findNewestRound(db, orderId))?.status, 'open')
      await assert.rejects(open(request(orderId, { round: 2 })), closedError)
    })
  })

  describe('the catalogue', () => {
    const customerIds = async (customer: OrderRequest['customer']) =>
      (await findFacts(db, customer, [])).customers.map(({ id }) => id)

    it('finds a customer by id, by name, and by name with e-mail, whatever the capitals', async () => {
      assert.deepEqual(await customerIds({ id: 'ada-li' }), ['ada-li'])
      assert.deepEqual(await customerIds({ name: 'JOHN doe' }), ['john-doe'])
      assert.deepEqual(await customerIds({ name: 'sam smith', email: 'SAM.SMITH@example.org' }), [
        'sam-smith-2',
      ])
    })

    it('finds two customers of one name, and none where name and e-mail disagree', async () => {
      assert.deepEqual(await customerIds({ name: 'Sam Smith' }), ['sam-smith-1', 'sam-smith-2'])
      assert.deepEqual(await customerIds({ name: 'Sam Smith', email: 'ada.li@example.com' }), [])
      assert.deepEqual(await customerIds({ id: 'John Doe' }), [])
    })

    it('tells an address from none, and leaves out what the address does not have', async () => {
      assert.equal((await findCustomer(db, 'ada-li'))?.address, null)
      assert.deepEqual(await findCustomer(db, 'max-mustermann'), {
        id: 'max-mustermann',
        name: 'Max Mustermann',
        status: 'active',
        customerSince: '2022-09-01',
        address: {
          name: 'Max Mustermann',
          street1: 'Musterstraße 12',
          city: 'Musterstadt',
          postalCode: '12345',
          country: 'DE',
        },
      })
    })

    it('knows the products that exist and no others', async () => {
      const products = await findProducts(db, ['JKL012', 'NOPE', 'abc123'])

      assert.deepEqual([...products.keys()], ['JKL012'])
      assert.equal(products.get('JKL012')?.discontinued, true)
    })
  })
})
