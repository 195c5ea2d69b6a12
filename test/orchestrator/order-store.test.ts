import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { appendEvent } from '../../orchestrator/order-events.ts'
import {
  beginEnding,
  commitOrder,
  findByKey,
  findUnstarted,
  finishOrder,
  listOrders,
  type OrderQuery,
  readOrder,
  readOrderOfLabel,
  requestCancel,
  takeIn,
} from '../../orchestrator/order-store.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { endOf, intake, orchestratorMigrations, placeOrder } from './support/orders.ts'

describe('the orders of the orchestrator', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => db.query('truncate customer_order cascade'))

  const tooLate = { kind: 'rejected', code: 'too_late' }
  const phaseOf = async (orderId: string) => (await readOrder(db, orderId)).phase

  describe('taking an order in', () => {
    it('makes one row of 50 requests that come at once with one key', async () => {
      const same = { clientId: 'acme', idempotencyKey: 'key-1' }
      const taken = await Promise.all(
        Array.from({ length: 50 }, () => takeIn(db, intake({ ...same, orderId: randomUUID() }))),
      )

      assert.equal(taken.filter(({ isNew }) => isNew).length, 1)
      assert.equal(new Set(taken.map(({ row }) => row.orderId)).size, 1)
      const count = await db.query('select count(*) as n from customer_order')
      assert.deepEqual(count.rows, [{ n: 1 }])
    })

    it('keeps what was asked for, and says that it runs', async () => {
      const asked = intake()

      const { row, isNew } = await takeIn(db, asked)

      const { idempotencyKey: _key, bodyHash: _hash, ...kept } = asked
      assert.equal(isNew, true)
      assert.partialDeepStrictEqual(row, {
        ...kept,
        round: 1,
        phase: 'open',
        status: 'running',
        code: null,
        summary: null,
        finishedAt: null,
      })
      assert.deepEqual(await readOrder(db, asked.orderId), row)
      assert.deepEqual(await readOrderOfLabel(db, asked.labelKey), row)
    })

    it('returns the first order to a repeat, also after it ended', async () => {
      const asked = intake()
      await takeIn(db, asked)
      await finishOrder(db, asked.orderId, 1, endOf('fulfilled'))

      const { row, isNew } = await takeIn(db, { ...asked, orderId: randomUUID() })

      assert.equal(isNew, false)
      assert.equal(row.orderId, asked.orderId)
      assert.equal(row.status, 'fulfilled')
    })

    it('refuses another body under the same key and keeps the first', async () => {
      const asked = intake()
      await takeIn(db, asked)
      const other = { ...asked, orderId: randomUUID(), bodyHash: 'another' }
      const reused = { kind: 'invalid', code: 'idempotency_key_reused', http: { status: 422 } }

      await assert.rejects(takeIn(db, other), reused)
      await assert.rejects(findByKey(db, asked.clientId, asked.idempotencyKey, 'another'), reused)

      await assert.rejects(readOrder(db, other.orderId), { code: 'no_such_order' })
    })

    it('keeps the keys of two clients apart', async () => {
      const first = await takeIn(db, intake({ clientId: 'acme', idempotencyKey: 'key-1' }))
      const second = await takeIn(db, intake({ clientId: 'bolt', idempotencyKey: 'key-1' }))

      assert.ok(first.isNew && second.isNew)
      assert.equal(await findByKey(db, 'cord', 'key-1', first.row.orderId), undefined)
    })

    it('finds no order by a foreign id or label', async () => {
      await assert.rejects(readOrder(db, randomUUID()), { kind: 'missing', code: 'no_such_order' })
      await assert.rejects(readOrderOfLabel(db, randomUUID()), {
        kind: 'missing',
        code: 'no_such_label',
      })
    })
  })

  describe('the pivot against a cancel', () => {
    it('lets exactly one of the two win in 1,000 races, and repeats change nothing', async () => {
      const winners = { commit: 0, cancel: 0 }
      const race = async (cancelFirst: boolean) => {
        const { orderId } = await placeOrder(db)
        const commit = () => commitOrder(db, orderId, 1)
        const cancel = () =>
          requestCancel(db, orderId).then(
            () => true,
            (error: { code: string }) => {
              assert.equal(error.code, 'too_late')
              return false
            },
          )
        const started = cancelFirst ? [cancel(), commit()] : [commit(), cancel()]
        const results = await Promise.all(started)
        const [committed, cancelled] = cancelFirst ? results.reverse() : results

        assert.notEqual(committed, cancelled)
        winners[committed === true ? 'commit' : 'cancel'] += 1
        assert.equal(await commit(), committed)
        assert.equal(await cancel(), cancelled)
        assert.equal(await phaseOf(orderId), committed === true ? 'committed' : 'cancelling')
      }

      for (let batch = 0; batch < 100; batch++) {
        await Promise.all(Array.from({ length: 10 }, (_, i) => race(i % 2 === 0)))
      }

      assert.equal(winners.commit + winners.cancel, 1_000)
      assert.ok(winners.commit > 0 && winners.cancel > 0, JSON.stringify(winners))
    })

    it('and an end that undoes meet at the same row as a cancel does, in 1,000 races', async () => {
      const winners = { end: 0, cancel: 0 }
      const race = async (cancelFirst: boolean) => {
        const { orderId } = await placeOrder(db)
        const end = () => beginEnding(db, orderId, 1)
        const cancel = () =>
          requestCancel(db, orderId).then(
            () => true,
            () => false,
          )
        const started = cancelFirst ? [cancel(), end()] : [end(), cancel()]
        const results = await Promise.all(started)
        const [ending, cancelled] = cancelFirst ? results.reverse() : results

        assert.notEqual(ending, cancelled)
        winners[ending === true ? 'end' : 'cancel'] += 1
        assert.equal(await end(), ending)
        assert.equal(await phaseOf(orderId), ending === true ? 'ending' : 'cancelling')
        // What ends by undoing never goes forward again.
        assert.equal(await commitOrder(db, orderId, 1), false)
      }

      for (let batch = 0; batch < 100; batch++) {
        await Promise.all(Array.from({ length: 10 }, (_, i) => race(i % 2 === 0)))
      }

      assert.equal(winners.end + winners.cancel, 1_000)
      assert.ok(winners.end > 0 && winners.cancel > 0, JSON.stringify(winners))
    })

    it('can still become an end that undoes, when the label is refused for good', async () => {
      const { orderId } = await placeOrder(db)
      await commitOrder(db, orderId, 1)

      assert.equal(await beginEnding(db, orderId, 1), true)
      assert.equal(await phaseOf(orderId), 'ending')
    })

    it('is lost by a cancel of an order that has ended', async () => {
      const { orderId } = await placeOrder(db)
      await finishOrder(db, orderId, 1, endOf('held', 'over_limit'))

      await assert.rejects(requestCancel(db, orderId), tooLate)

      assert.equal((await readOrder(db, orderId)).status, 'held')
    })

    it('may be asked for again by a client whose cancel has gone through', async () => {
      const { orderId } = await placeOrder(db)
      await requestCancel(db, orderId)
      await finishOrder(db, orderId, 1, endOf('cancelled', 'cancelled_by_client'))

      await requestCancel(db, orderId)

      assert.equal((await readOrder(db, orderId)).status, 'cancelled')
    })

    it('belongs to one round: an old run cannot commit a new one', async () => {
      const { orderId } = await placeOrder(db)

      assert.equal(await commitOrder(db, orderId, 2), false)
      assert.equal(await phaseOf(orderId), 'open')
    })

    it('is nothing for an order that does not exist', async () => {
      assert.equal(await commitOrder(db, randomUUID(), 1), false)
      await assert.rejects(requestCancel(db, randomUUID()), { code: 'no_such_order' })
    })
  })

  describe('the end of a round', () => {
    it('is the first that was recorded', async () => {
      const { orderId } = await placeOrder(db)

      assert.equal(await finishOrder(db, orderId, 1, endOf('held', 'too_heavy')), true)
      assert.equal(await finishOrder(db, orderId, 1, endOf('fulfilled')), false)

      const row = await readOrder(db, orderId)
      assert.deepEqual([row.status, row.code, row.phase], ['held', 'too_heavy', 'closed'])
      assert.equal(row.summary?.message, 'It is held')
      assert.ok(row.finishedAt instanceof Date)
    })

    it('leaves a stuck order where it stands, so that it can be resumed from there', async () => {
      const { orderId } = await placeOrder(db)
      await commitOrder(db, orderId, 1)

      await finishOrder(db, orderId, 1, endOf('stuck', 'internal'))

      const row = await readOrder(db, orderId)
      assert.deepEqual([row.status, row.phase], ['stuck', 'committed'])
      await assert.rejects(requestCancel(db, orderId), tooLate)
    })

    it('cannot be turned into a cancel when it is stuck before its pivot', async () => {
      const { orderId } = await placeOrder(db)
      await finishOrder(db, orderId, 1, endOf('stuck', 'run_failed'))

      await assert.rejects(requestCancel(db, orderId), tooLate)

      assert.equal(await phaseOf(orderId), 'open')
    })

    it('is not recorded for another round', async () => {
      const { orderId } = await placeOrder(db)

      await finishOrder(db, orderId, 2, endOf('fulfilled'))

      assert.equal((await readOrder(db, orderId)).status, 'running')
    })
  })

  describe('the list of orders', () => {
    const all: OrderQuery = {
      clientId: undefined,
      status: undefined,
      before: undefined,
      limit: 100,
    }
    const idsOf = async (query: Partial<OrderQuery>) =>
      (await listOrders(db, { ...all, ...query })).map(({ orderId }) => orderId)

    it('comes newest first, page by page, without losing or repeating one', async () => {
      // All in one instant, so that only the id tells them apart.
      const at = '2026-11-20T12:00:00.123456Z'
      const placed: string[] = []
      for (let i = 0; i < 25; i++) placed.push((await placeOrder(db)).orderId)
      await db.query('update customer_order set created_at = $1', [at])
      const newer = await placeOrder(db)

      const seen: string[] = []
      for (let before: OrderQuery['before']; ; ) {
        const page = await listOrders(db, { ...all, before, limit: 10 })
        seen.push(...page.map(({ orderId }) => orderId))
        const last = page.at(-1)
        if (last === undefined || page.length < 10) break
        before = last
      }

      assert.deepEqual(seen, [newer.orderId, ...placed.sort().reverse()])
    })

    it('shows times to the microsecond', async () => {
      await placeOrder(db)
      await db.query(`update customer_order set created_at = '2026-01-02 03:04:05.000678+00'`)

      const [listed] = await listOrders(db, all)

      assert.equal(listed?.createdAt, '2026-01-02T03:04:05.000678Z')
    })

    it('can be of one client, and of one status', async () => {
      const mine = await placeOrder(db, { clientId: 'acme' })
      const yours = await placeOrder(db, { clientId: 'bolt' })
      const ended = await placeOrder(db, { clientId: 'acme' })
      await finishOrder(db, ended.orderId, 1, endOf('fulfilled'))

      assert.deepEqual(await idsOf({ clientId: 'bolt' }), [yours.orderId])
      assert.deepEqual(await idsOf({ status: 'running' }), [yours.orderId, mine.orderId])
      assert.deepEqual(await idsOf({ clientId: 'acme', status: 'fulfilled' }), [ended.orderId])
      assert.deepEqual(await idsOf({ clientId: 'cord' }), [])
    })
  })

  describe('orders that were taken in but not started', () => {
    it('are found once they are old enough and nothing was heard of them', async () => {
      const forgotten = await placeOrder(db)
      const started = await placeOrder(db)
      const ended = await placeOrder(db)
      const key = { orderId: started.orderId, round: 1, key: '1:open_order:step_started' }
      await appendEvent(db, { ...key, type: 'step_started', data: {} })
      await finishOrder(db, ended.orderId, 1, endOf('cancelled'))
      await db.query(`update customer_order set requested_at = now() - interval '1 minute'`)
      await placeOrder(db)

      const found = await findUnstarted(db, 5_000, 100)

      assert.deepEqual(
        found.map(({ orderId }) => orderId),
        [forgotten.orderId],
      )
    })
  })
})
