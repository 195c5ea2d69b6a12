import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  appendEvent,
  type NewEvent,
  readEvents,
  readStepReports,
} from '../../orchestrator/order-events.ts'
import { commitOrder, finishOrder, requestCancel } from '../../orchestrator/order-store.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { endOf, orchestratorMigrations, placeOrder } from './support/orders.ts'

describe('the events of an order', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
  })
  after(() => db[Symbol.asyncDispose]())

  const event = (orderId: string, key: string, change: Partial<NewEvent> = {}): NewEvent => ({
    orderId,
    round: 1,
    key,
    type: 'step_started',
    data: { name: key },
    ...change,
  })
  const keysOf = async (orderId: string, afterSeq = 0, limit = 1_000) =>
    (await readEvents(db, orderId, afterSeq, limit)).map(
      ({ data }) => (data as { name: string }).name,
    )

  it('are numbered in the order in which they become visible, however many write at once', async () => {
    const { orderId } = await placeOrder(db)
    const seen: number[] = []
    let writing = true
    const reader = (async () => {
      for (let last = 0; writing || last < 200; ) {
        const events = await readEvents(db, orderId, last, 1_000)
        seen.push(...events.map(({ seq }) => seq))
        last = seen.at(-1) ?? 0
      }
    })()

    await Promise.all(
      Array.from({ length: 200 }, (_, i) => appendEvent(db, event(orderId, `step-${i}`))),
    )
    writing = false
    await reader

    // A reader that has seen number n has seen all before it: it never has to look back.
    assert.deepEqual(
      seen,
      Array.from({ length: 200 }, (_, i) => i + 1),
    )
  })

  it('are written once for one key, by however many at once, and the first content stays', async () => {
    const { orderId } = await placeOrder(db)
    await appendEvent(db, event(orderId, 'first', { data: { name: 'kept' } }))

    await Promise.all(Array.from({ length: 20 }, () => appendEvent(db, event(orderId, 'first'))))
    await Promise.all(Array.from({ length: 20 }, () => appendEvent(db, event(orderId, 'second'))))

    assert.deepEqual(await keysOf(orderId), ['kept', 'second'])
  })

  it('of two orders are numbered apart, also under the same key', async () => {
    const [first, second] = [await placeOrder(db), await placeOrder(db)]

    await appendEvent(db, event(first.orderId, 'a'))
    await appendEvent(db, event(second.orderId, 'a'))

    for (const { orderId } of [first, second]) {
      assert.deepEqual(
        (await readEvents(db, orderId, 0, 10)).map(({ seq }) => seq),
        [1],
      )
    }
  })

  it('tell whoever writes one where the order stands', async () => {
    const { orderId } = await placeOrder(db)
    const phase = async (key: string) => (await appendEvent(db, event(orderId, key))).phase

    assert.equal(await phase('a'), 'open')
    await requestCancel(db, orderId)
    assert.equal(await phase('b'), 'cancelling')
    assert.equal(await phase('a'), 'cancelling')
    await finishOrder(db, orderId, 1, endOf('cancelled'))
    assert.equal(await phase('c'), 'closed')

    const other = await placeOrder(db)
    await commitOrder(db, other.orderId, 1)
    assert.equal((await appendEvent(db, event(other.orderId, 'a'))).phase, 'committed')
  })

  it('cannot be written for an order that does not exist', async () => {
    await assert.rejects(appendEvent(db, event(randomUUID(), 'a')))
  })

  it('are read from where a reader stopped, at most as many as it asked for', async () => {
    const { orderId } = await placeOrder(db)
    for (const key of ['a', 'b', 'c', 'd']) await appendEvent(db, event(orderId, key))

    assert.deepEqual(await keysOf(orderId, 1, 2), ['b', 'c'])
    assert.deepEqual(await keysOf(orderId, 3), ['d'])
    assert.deepEqual(await keysOf(orderId, 4), [])
  })

  it('give the reports of the steps that ended, in the order in which they ended', async () => {
    const { orderId } = await placeOrder(db)
    const report = (name: string) => ({ name, state: 'done', result: {} })
    await appendEvent(db, event(orderId, 'a:started'))
    await appendEvent(db, event(orderId, 'b', { type: 'step_finished', data: report('b') }))
    await appendEvent(db, event(orderId, 'a', { type: 'step_finished', data: report('a') }))
    await appendEvent(db, event(orderId, 'end', { type: 'order_finished', data: {} }))

    assert.deepEqual(await readStepReports(db, orderId), [
      { round: 1, report: report('b') },
      { round: 1, report: report('a') },
    ])
  })

  for (const [what, text] of [
    ['the character NUL', 'a\u0000b'],
    ['a lone surrogate', 'a\ud800b'],
    ['text that looks like an escape', 'a\\u0000b'],
  ] as const) {
    it(`can hold ${what}, which a model may say at any time`, async () => {
      const { orderId } = await placeOrder(db)

      await appendEvent(db, event(orderId, 'a', { data: { name: text } }))

      const [kept] = await keysOf(orderId)
      assert.equal(kept, text.toWellFormed().replaceAll('\u0000', '\ufffd'))
    })
  }
})
