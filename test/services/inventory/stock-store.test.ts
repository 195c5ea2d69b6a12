import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { runSqlFile } from '../../../platform/migrate.ts'
import { commitStock, holdStock } from '../../../services/inventory/reservation-store.ts'
import { findStock, findSubstitutes, setStock } from '../../../services/inventory/stock-store.ts'
import { testDatabase } from '../../support/database.ts'
import { assertBooksBalance, resetStock, unitsOf } from './stock-of.ts'

const seed = new URL('../../../services/inventory/seed.sql', import.meta.url)

describe('stock', () => {
  let db: Awaited<ReturnType<typeof testDatabase>>

  before(async () => {
    db = await testDatabase('services/inventory/migrations')
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => resetStock(db, { cup: 5, mug: 1 }))

  const units = (sku: string) => unitsOf(db, sku)
  const count = (sku: string, available: number, requestId: string = randomUUID()) => ({
    requestId,
    sku,
    available,
    reason: 'Counted',
    clientId: 'operator',
  })

  describe('setting stock', () => {
    it('writes the difference as an adjustment with its reason and its author', async () => {
      const set = await setStock(db, count('cup', 12))

      assert.deepEqual(set, { sku: 'cup', available: 12, adjustment: 7 })
      const { rows } = await db.query(
        `select quantity, available_after, reason, adjusted_by
           from stock_adjustment where reason = 'Counted'`,
      )
      const written = { quantity: 7, available_after: 12, reason: 'Counted' }
      assert.deepEqual(rows, [{ ...written, adjusted_by: 'operator' }])
      await assertBooksBalance(db)
    })

    it('leaves units held and committed for orders as they are', async () => {
      const shipped = { orderId: randomUUID(), round: 1 }
      await holdStock(db, shipped, [{ sku: 'cup', quantity: 2 }])
      await commitStock(db, shipped)
      await holdStock(db, { ...shipped, round: 2 }, [{ sku: 'cup', quantity: 1 }])

      const set = await setStock(db, count('cup', 0))

      assert.equal(set.adjustment, -2)
      assert.deepEqual(await units('cup'), { available: 0, held: 1, committed: 2 })
      await assertBooksBalance(db)
    })

    it('answers a repeat like the first call and keeps what was sold in between', async () => {
      const request = count('cup', 12)
      const first = await setStock(db, request)
      await holdStock(db, { orderId: randomUUID(), round: 1 }, [{ sku: 'cup', quantity: 4 }])

      const again = await setStock(db, request)

      assert.deepEqual(again, first)
      assert.deepEqual(await units('cup'), { available: 8, held: 4, committed: 0 })
    })

    it('adjusts once when the same request arrives ten times at once', async () => {
      const request = count('cup', 12)

      const answers = await Promise.all(Array.from({ length: 10 }, () => setStock(db, request)))

      for (const answer of answers) assert.equal(answer.adjustment, 7)
      assert.deepEqual(await units('cup'), { available: 12, held: 0, committed: 0 })
      await assertBooksBalance(db)
    })

    it('refuses a request id that came with other content', async () => {
      const request = count('cup', 12)
      await setStock(db, request)

      const refusal = { kind: 'rejected', code: 'request_changed' }
      await assert.rejects(setStock(db, { ...request, available: 13 }), refusal)
      await assert.rejects(setStock(db, { ...request, sku: 'mug' }), refusal)
      await assert.rejects(setStock(db, { ...request, reason: 'Delivered' }), refusal)
      assert.deepEqual(await units('cup'), { available: 12, held: 0, committed: 0 })
      assert.deepEqual(await units('mug'), { available: 1, held: 0, committed: 0 })
    })

    it('does not create a sku that nobody stocks', async () => {
      await assert.rejects(setStock(db, count('saucer', 1)), {
        kind: 'missing',
        code: 'unknown_sku',
      })
      assert.equal(await units('saucer'), undefined)
    })

    it('adds up counts of one sku that arrive at once', async () => {
      await Promise.all(Array.from({ length: 20 }, (_, i) => setStock(db, count('cup', i))))

      await assertBooksBalance(db)
    })
  })

  describe('the database itself', () => {
    const refuses = (sql: string, constraint: string) =>
      assert.rejects(db.query(sql), (error: { message: string; constraint?: string }) => {
        assert.ok([error.constraint, error.message].join(' ').includes(constraint), error.message)
        return true
      })

    it('refuses an update that lets units appear or vanish', async () => {
      await refuses(`update stock set available = available + 1`, 'stock_units_add_up')
      await refuses(`update stock set held = held + 1 where sku = 'cup'`, 'stock_units_add_up')
      await assertBooksBalance(db)
    })

    it('refuses fewer than no units', async () => {
      await refuses(`update stock set available = -1, held = 6 where sku = 'cup'`, 'available')
    })

    it('refuses units put in without an adjustment', async () => {
      const sql = `update stock set available = available + 1, adjusted = adjusted + 1`
      await refuses(sql, 'stock_adjusted_is_sum')
      await refuses(
        `insert into stock (sku, name, available, adjusted) values ('jar', 'Jar', 1, 1)`,
        'stock_adjusted_is_sum',
      )
      await assertBooksBalance(db)
    })

    it('refuses an adjustment that puts nothing in', async () => {
      await refuses(
        `insert into stock_adjustment
           (request_id, sku, quantity, available_after, reason, adjusted_by)
         values (gen_random_uuid(), 'cup', 1, 6, 'Ghost', 'nobody')`,
        'stock_adjusted_is_sum',
      )
      await assertBooksBalance(db)
    })

    it('refuses to rewrite the history of adjustments', async () => {
      await refuses(`update stock_adjustment set quantity = quantity + 1`, 'append-only')
      await refuses(`delete from stock_adjustment`, 'append-only')
      await refuses(`truncate stock_adjustment`, 'append-only')
      await refuses(`delete from stock`, 'stock_adjustment_sku_fkey')
    })
  })

  describe('the demo data', () => {
    const skus = ['ABC123', 'DEF456', 'DEF457', 'GHI789', 'MNO345', 'PQR678', 'XXX000']

    it('holds what the examples of the README order', async () => {
      await runSqlFile(db, seed)

      const stock = await findStock(db, skus)

      assert.deepEqual(
        stock.map(({ sku, available }) => [sku, available]),
        [
          ['ABC123', 100],
          ['DEF456', 3],
          ['DEF457', 20],
          ['GHI789', 0],
          ['MNO345', 5],
          ['PQR678', 20],
        ],
      )
      const { rows } = await db.query(`select (current_date + 56)::text as date`)
      assert.equal(stock.find(({ sku }) => sku === 'GHI789')?.restockDate, rows[0].date)
      assert.deepEqual(await findSubstitutes(db, ['DEF456', 'GHI789']), [
        {
          insteadOf: 'DEF456',
          sku: 'DEF457',
          name: 'Walnut tray',
          available: 20,
          restockDate: null,
        },
      ])
      await assertBooksBalance(db)
    })

    it('resets nothing when it is loaded again', async () => {
      await runSqlFile(db, seed)
      await setStock(db, count('ABC123', 7))
      await db.query(`delete from substitute`)

      await runSqlFile(db, seed)

      assert.deepEqual(await units('ABC123'), { available: 7, held: 0, committed: 0 })
      assert.deepEqual(await findSubstitutes(db, ['DEF456']), [])
      await assertBooksBalance(db)
    })
  })
})
