import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { appendEvent } from '../../orchestrator/order-events.ts'
import { finishOrder, readOrder } from '../../orchestrator/order-store.ts'
import { OrderWatch } from '../../orchestrator/order-watch.ts'
import { createLog } from '../../platform/log.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { endOf, orchestratorMigrations, placeOrder } from './support/orders.ts'

describe('watching orders', () => {
  let db: TestDatabase
  let ours: OrderWatch
  let theirs: OrderWatch
  let reconnects = 0

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
    // Two watches on connections of their own: what two replicas have.
    ours = new OrderWatch(db.url, createLog('test', 'silent'), () => {
      reconnects += 1
    })
    theirs = new OrderWatch(db.url, createLog('test', 'silent'))
    await Promise.all([ours.start(), theirs.start()])
  })
  after(async () => {
    await Promise.all([ours.stop(), theirs.stop()])
    await db[Symbol.asyncDispose]()
  })

  const never = new AbortController().signal
  let events = 0
  const change = (orderId: string) =>
    appendEvent(db, { orderId, round: 1, key: `${events++}`, type: 'step_started', data: {} })
  const outcomeOf = async (orderId: string) => {
    const { status } = await readOrder(db, orderId)
    return status === 'running' ? undefined : status
  }
  const listening = async (): Promise<number[]> => {
    const found = await db.query<{ pid: number }>(
      `select pid from pg_stat_activity
        where datname = current_database() and query = 'listen order_event'`,
    )
    return found.rows.map(({ pid }) => pid)
  }

  it('tells every replica of a change, and only those who watch that order', async () => {
    const [order, other] = [await placeOrder(db), await placeOrder(db)]
    const heard = { ours: 0, theirs: 0, other: 0 }
    const ends = [
      ours.subscribe(order.orderId, () => heard.ours++),
      theirs.subscribe(order.orderId, () => heard.theirs++),
      theirs.subscribe(other.orderId, () => heard.other++),
    ]

    await change(order.orderId)

    await waitFor(() => heard.ours === 1 && heard.theirs === 1, { what: 'both to hear of it' })
    assert.equal(heard.other, 0)
    for (const end of ends) end()
    await change(order.orderId)
    await change(other.orderId)
    await assertSilent(() => heard.ours + heard.theirs + heard.other, 2)
  })

  it('ends a wait as soon as there is something to see', async () => {
    const { orderId } = await placeOrder(db)
    let looks = 0
    const ended = ours.until(orderId, never, () => {
      looks++
      return outcomeOf(orderId)
    })
    await waitFor(() => looks > 0, { what: 'the first look' })

    await finishOrder(db, orderId, 1, endOf('fulfilled'))
    await change(orderId)

    assert.equal(await ended, 'fulfilled')
  })

  it('does not wait for what is there already, nor when nobody waits any more', async () => {
    const { orderId } = await placeOrder(db)

    assert.equal(await ours.until(orderId, never, async () => 'seen'), 'seen')
    assert.equal(
      await ours.until(orderId, AbortSignal.abort(), () => outcomeOf(orderId)),
      undefined,
    )
    const gone = new AbortController()
    const waiting = ours.until(orderId, gone.signal, () => outcomeOf(orderId))
    gone.abort()
    assert.equal(await waiting, undefined)
  })

  it('misses no change that happens while it looks', async () => {
    const { orderId } = await placeOrder(db)
    let looks = 0

    const seen = await ours.until(orderId, never, async () => {
      looks += 1
      if (looks > 1) return looks
      let heard = false
      const end = ours.subscribe(orderId, () => {
        heard = true
      })
      await change(orderId)
      await waitFor(() => heard, { what: 'the change' })
      end()
      return undefined
    })

    assert.equal(seen, 2)
  })

  it('loses only the time of a poll when a notification is lost', async () => {
    const { orderId } = await placeOrder(db)
    let looks = 0
    const ended = ours.until(orderId, never, () => {
      looks++
      return outcomeOf(orderId)
    })
    await waitFor(() => looks > 0, { what: 'the first look' })

    await finishOrder(db, orderId, 1, endOf('held')) // and nobody is told

    assert.equal(await ended, 'held')
  })

  it('fails when looking fails, and forgets the waiter', async () => {
    const { orderId } = await placeOrder(db)

    await assert.rejects(
      ours.until(orderId, never, () => Promise.reject(new Error('no database'))),
      { message: 'no database' },
    )
  })

  it('listens again after its connection was cut, each time on one connection', async () => {
    const { orderId } = await placeOrder(db)
    for (let cut = 1; cut <= 3; cut++) {
      const before = await listening()
      await db.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [before])
      await waitFor(
        async () => {
          const pids = await listening()
          return pids.length === 2 && pids.every((pid) => !before.includes(pid))
        },
        { what: 'two fresh connections that listen' },
      )
    }
    await waitFor(() => reconnects === 3, { what: 'the reconnects to be told of' })
    const heard = { ours: 0, theirs: 0 }
    const ends = [
      ours.subscribe(orderId, () => heard.ours++),
      theirs.subscribe(orderId, () => heard.theirs++),
    ]

    await change(orderId)

    await waitFor(() => heard.ours > 0 && heard.theirs > 0, { what: 'both to hear of it' })
    await assertSilent(() => heard.ours + heard.theirs, 2)
    for (const end of ends) end()
  })

  it('can be stopped while it is connecting again, and leaves no connection behind', async () => {
    const watch = new OrderWatch(db.url, createLog('test', 'silent'))
    const before = await listening()
    await watch.start()
    const [pid] = (await listening()).filter((p) => !before.includes(p))

    await db.query('select pg_terminate_backend($1)', [pid])
    await watch.stop()

    await waitFor(async () => (await listening()).length === before.length, {
      what: 'the connection to be gone',
    })
  })

  /** A later notification has arrived, so an earlier one would have. */
  async function assertSilent(count: () => number, expected: number): Promise<void> {
    const { orderId } = await placeOrder(db)
    const done = { ours: false, theirs: false }
    const ends = [
      ours.subscribe(orderId, () => {
        done.ours = true
      }),
      theirs.subscribe(orderId, () => {
        done.theirs = true
      }),
    ]
    await change(orderId)
    await waitFor(() => done.ours && done.theirs, { what: 'a later change' })
    for (const end of ends) end()
    assert.equal(count(), expected)
  }
})
