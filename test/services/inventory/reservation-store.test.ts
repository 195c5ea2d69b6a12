import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import {
  commitStock,
  holdStock,
  type ReservationKey,
  releaseStock,
} from '../../../services/inventory/reservation-store.ts'
import type { Line } from '../../../services/inventory/stock-rules.ts'
import { testDatabase } from '../../support/database.ts'
import { assertBooksBalance, resetStock, unitsOf } from './stock-of.ts'

describe('reservations', () => {
  let db: Awaited<ReturnType<typeof testDatabase>>

  before(async () => {
    db = await testDatabase('services/inventory/migrations')
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => resetStock(db, { cup: 5, mug: 1, plate: 100 }))

  const order = (round = 1): ReservationKey => ({ orderId: randomUUID(), round })
  const line = (sku: string, quantity: number): Line => ({ sku, quantity })
  const hold = (key: ReservationKey, ...lines: Line[]) => holdStock(db, key, lines)
  const release = (key: ReservationKey) => releaseStock(db, key)
  const commit = (key: ReservationKey) => commitStock(db, key)
  const units = (sku: string) => unitsOf(db, sku)
  const states = async () =>
    (await db.query(`select state from reservation order by state`)).rows.map((r) => r.state)

  describe('holding stock', () => {
    it('moves the units of every line from available to held', async () => {
      const held = await hold(order(), line('plate', 40), line('cup', 2))

      assert.deepEqual(held, [line('cup', 2), line('plate', 40)])
      assert.deepEqual(await units('cup'), { available: 3, held: 2, committed: 0 })
      assert.deepEqual(await units('plate'), { available: 60, held: 40, committed: 0 })
      await assertBooksBalance(db)
    })

    it('gives the last unit to exactly one of two orders that ask at once', async () => {
      const results = await Promise.allSettled([
        hold(order(), line('mug', 1)),
        hold(order(), line('mug', 1)),
      ])

      assert.deepEqual(results.map((result) => result.status).sort(), ['fulfilled', 'rejected'])
      assert.deepEqual(await units('mug'), { available: 0, held: 1, committed: 0 })
      assert.deepEqual(await states(), ['held'])
    })

    it('holds nothing and names every short line when any line is short', async () => {
      const wants = [line('plate', 1), line('mug', 2), line('saucer', 1), line('cup', 6)]

      await assert.rejects(hold(order(), ...wants), {
        kind: 'rejected',
        code: 'out_of_stock',
        details: {
          lines: [
            { sku: 'cup', quantity: 6, available: 5 },
            { sku: 'mug', quantity: 2, available: 1 },
            { sku: 'saucer', quantity: 1, available: 0 },
          ],
        },
      })
      assert.deepEqual(await units('plate'), { available: 100, held: 0, committed: 0 })
      assert.deepEqual(await states(), [])
    })

    it('can hold the same key later when it was short at first', async () => {
      const key = order()
      const other = order()
      await hold(other, line('mug', 1))
      await assert.rejects(hold(key, line('mug', 1)), { code: 'out_of_stock' })
      await release(other)

      assert.deepEqual(await hold(key, line('mug', 1)), [line('mug', 1)])
    })

    it('adds up lines of one sku before it looks at stock', async () => {
      await assert.rejects(hold(order(), line('cup', 3), line('cup', 3)), { code: 'out_of_stock' })

      assert.deepEqual(await hold(order(), line('cup', 3), line('cup', 2)), [line('cup', 5)])
    })

    it('repeats its answer for the same lines in any order and split, and takes nothing', async () => {
      const key = order()
      const first = await hold(key, line('cup', 3), line('plate', 1))

      const again = await hold(key, line('plate', 1), line('cup', 1), line('cup', 2))

      assert.deepEqual(again, first)
      assert.deepEqual(await units('cup'), { available: 2, held: 3, committed: 0 })
    })

    it('holds once when the same call arrives ten times at once', async () => {
      const key = order()
      const calls = Array.from({ length: 10 }, () => hold(key, line('cup', 2)))

      for (const held of await Promise.all(calls)) assert.deepEqual(held, [line('cup', 2)])
      assert.deepEqual(await units('cup'), { available: 3, held: 2, committed: 0 })
    })

    it('refuses other lines under the same key', async () => {
      const key = order()
      await hold(key, line('cup', 2))

      const refusal = { kind: 'rejected', code: 'reservation_changed' }
      await assert.rejects(hold(key, line('cup', 3)), refusal)
      await assert.rejects(hold(key, line('plate', 2)), refusal)
      await assert.rejects(hold(key, line('cup', 2), line('plate', 1)), refusal)
      assert.deepEqual(await units('cup'), { available: 3, held: 2, committed: 0 })
    })

    it('holds for each round of an order on its own', async () => {
      const key = order(1)
      await hold(key, line('cup', 2))

      await hold({ ...key, round: 2 }, line('cup', 3))

      assert.deepEqual(await units('cup'), { available: 0, held: 5, committed: 0 })
    })

    it('serves fifty orders at once over shared skus named in opposite orders', async () => {
      const wants = [line('cup', 1), line('mug', 1), line('plate', 1)]
      await resetStock(db, { cup: 50, mug: 50, plate: 50 })

      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          hold(order(), ...(i % 2 === 0 ? wants : wants.toReversed())),
        ),
      )

      for (const sku of ['cup', 'mug', 'plate']) {
        assert.deepEqual(await units(sku), { available: 0, held: 50, committed: 0 })
      }
      await assertBooksBalance(db)
    })

    it('never sells more than there is when fifty orders want what thirty can have', async () => {
      await resetStock(db, { cup: 30, plate: 60 })

      const results = await Promise.allSettled(
        Array.from({ length: 50 }, () => hold(order(), line('plate', 1), line('cup', 1))),
      )

      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 30)
      assert.deepEqual(await units('cup'), { available: 0, held: 30, committed: 0 })
      assert.deepEqual(await units('plate'), { available: 30, held: 30, committed: 0 })
    })
  })

  describe('releasing stock', () => {
    it('gives back what is held, and repeats its answer', async () => {
      const key = order()
      await hold(key, line('cup', 2), line('plate', 7))

      const first = await release(key)
      const again = await release(key)

      assert.deepEqual(first, [line('cup', 2), line('plate', 7)])
      assert.deepEqual(again, first)
      assert.deepEqual(await units('cup'), { available: 5, held: 0, committed: 0 })
      await assertBooksBalance(db)
    })

    it('succeeds when nothing was reserved, and a late reserve is refused', async () => {
      const key = order()
      assert.deepEqual(await release(key), [])
      assert.deepEqual(await release(key), [])

      await assert.rejects(hold(key, line('cup', 1)), {
        kind: 'rejected',
        code: 'reservation_released',
      })
      assert.deepEqual(await units('cup'), { available: 5, held: 0, committed: 0 })
    })

    it('refuses a repeat of the reserve that it undid', async () => {
      const key = order()
      await hold(key, line('cup', 1))
      await release(key)

      await assert.rejects(hold(key, line('cup', 1)), { code: 'reservation_released' })
      assert.deepEqual(await units('cup'), { available: 5, held: 0, committed: 0 })
    })

    it('refuses a committed reservation', async () => {
      const key = order()
      await hold(key, line('cup', 1))
      await commit(key)

      await assert.rejects(release(key), { kind: 'rejected', code: 'already_committed' })
      assert.deepEqual(await units('cup'), { available: 4, held: 0, committed: 1 })
    })

    it('leaves no stock held by a released order, whichever of the two comes first', async () => {
      await resetStock(db, { cup: 1_000, plate: 1_000 })
      let refused = 0

      for (let race = 0; race < 200; race++) {
        const key = order()
        const reserve = () => hold(key, line('cup', 1), line('plate', 2))
        const calls = race % 2 === 0 ? [reserve(), release(key)] : [release(key), reserve()]
        for (const result of await Promise.allSettled(calls)) {
          if (result.status === 'fulfilled') continue
          assert.equal(result.reason.code, 'reservation_released')
          refused += 1
        }
      }

      const nothingHeld = { available: 1_000, held: 0, committed: 0 }
      assert.deepEqual([await units('cup'), await units('plate')], [nothingHeld, nothingHeld])
      assert.ok(refused > 0, 'some releases came first')
      await assertBooksBalance(db)
    })
  })

  describe('committing stock', () => {
    it('takes held units out for good, and repeats its answer', async () => {
      const key = order()
      await hold(key, line('cup', 2), line('mug', 1))

      assert.deepEqual(await commit(key), [line('cup', 2), line('mug', 1)])
      assert.deepEqual(await commit(key), [line('cup', 2), line('mug', 1)])
      assert.deepEqual(await units('cup'), { available: 3, held: 0, committed: 2 })
      await assertBooksBalance(db)
    })

    it('is refused when nothing is held', async () => {
      const released = order()
      await hold(released, line('cup', 1))
      await release(released)

      const refusal = { kind: 'rejected', code: 'not_reserved' }
      await assert.rejects(commit(order()), refusal)
      await assert.rejects(commit(released), refusal)
      assert.deepEqual(await units('cup'), { available: 5, held: 0, committed: 0 })
    })

    it('leaves the answer to a late repeat of the reserve as it was', async () => {
      const key = order()
      const held = await hold(key, line('cup', 2))
      await commit(key)

      assert.deepEqual(await hold(key, line('cup', 2)), held)
      assert.deepEqual(await units('cup'), { available: 3, held: 0, committed: 2 })
    })

    it('and releasing at once end in one of the two, never in both', async () => {
      await resetStock(db, { cup: 500 })
      // Held for others, so that a second effect would go unnoticed by the check of held >= 0.
      await hold(order(), line('cup', 200))

      for (let race = 0; race < 100; race++) {
        const key = order()
        await hold(key, line('cup', 1))
        const calls = race % 2 === 0 ? [commit(key), release(key)] : [release(key), commit(key)]
        const results = await Promise.allSettled(calls)
        const refusals = results.filter((result) => result.status === 'rejected')
        assert.equal(refusals.length, 1)
        assert.match(refusals[0]?.reason.code, /^(already_committed|not_reserved)$/)
      }

      await assertBooksBalance(db)
    })
  })
})
