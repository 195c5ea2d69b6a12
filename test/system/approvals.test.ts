/** A person and the orders that wait for one, on real processes. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { waitFor } from '../support/wait-for.ts'
import { get, postJson, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const lamps = { sku: 'PQR678', qty: 9, customer: 'John Doe' }

describe('orders that wait for a person', () => {
  let t: TestPlatform
  let url = ''

  before(async () => {
    const orchestrator = { PATIENCE_ROUNDS_MAX: '1', STEP_BACKOFF_MIN_MS: '20' }
    t = await startTestPlatform(20_100, { env: { orchestrator } })
    url = t.platform.urls.orchestrator
  })
  after(() => t[Symbol.asyncDispose]())

  const stockOf = async (sku: string) =>
    (
      await t.rows<{ available: number; held: number; committed: number }>(
        'inventory',
        'select available::int, held::int, committed::int from stock where sku = $1',
        [sku],
      )
    )[0]
  const liveLabels = async (orderId: string) => {
    const { body } = await get(`${t.platform.urls['carrier-standin']}/standin/book`)
    const own = body.references.filter((r: { reference: string }) =>
      r.reference.startsWith(orderId),
    )
    return own.reduce((sum: number, r: { live: number }) => sum + r.live, 0)
  }
  const ended = async (orderId: string) => {
    const isOver = async () => (await get(`${url}/orders/${orderId}`)).body.status !== 'running'
    await waitFor(isOver, { what: `the end of ${orderId}` })
    return (await get(`${url}/orders/${orderId}`)).body
  }
  const act = (orderId: string, what: string, body?: object) =>
    postJson(`${url}/orders/${orderId}/${what}`, body)
  const holdLamps = async () => {
    const { body } = await postOrder(url, lamps)
    assert.deepEqual([body.status, body.code], ['held', 'over_limit'])
    const { approval } = (await get(`${url}/orders/${body.orderId}`)).body
    assert.equal(approval.approvable, true, JSON.stringify(approval))
    return { orderId: body.orderId as string, digest: approval.digest as string }
  }

  it('ship once approved: stock, one label, and a person as the one who decided', async () => {
    const before = await stockOf('PQR678')
    const { orderId, digest } = await holdLamps()
    assert.deepEqual(await stockOf('PQR678'), before)

    assert.equal((await act(orderId, 'approve', { digest })).status, 202)
    const order = await ended(orderId)

    assert.deepEqual([order.status, order.round, order.decision.by], ['fulfilled', 2, 'person'])
    assert.deepEqual(await stockOf('PQR678'), {
      available: (before?.available ?? 0) - 9,
      held: 0,
      committed: (before?.committed ?? 0) + 9,
    })
    assert.equal(await liveLabels(orderId), 1)
    const again = await act(orderId, 'approve', { digest })
    assert.deepEqual([again.status, again.body.code], [409, 'approval_used'])
  })

  it('must be looked at again after a price has changed', async () => {
    const { orderId, digest } = await holdLamps()
    await t.rows(
      'orders',
      `update product set price_cents = price_cents + 100 where sku = 'PQR678'`,
    )

    const stale = await act(orderId, 'approve', { digest })
    assert.deepEqual([stale.status, stale.body.code], [409, 'approval_stale'])
    const fresh = stale.body.approval.digest
    assert.equal((await act(orderId, 'approve', { digest: fresh })).status, 202)

    const order = await ended(orderId)
    await t.rows(
      'orders',
      `update product set price_cents = price_cents - 100 where sku = 'PQR678'`,
    )
    assert.equal(order.status, 'fulfilled')
    const [round] = await t.rows(
      'orders',
      'select total_cents::int from sales_order where order_id = $1 and round = 2',
      [orderId],
    )
    assert.equal(round?.total_cents, 9 * 60_100)
  })

  it('ship after an edit has made them light enough', async () => {
    const { body } = await postOrder(url, { sku: 'ABC123', qty: 86, customer: 'John Doe' })
    assert.equal(body.code, 'too_heavy')
    const { approval } = (await get(`${url}/orders/${body.orderId}`)).body
    assert.equal(approval.approvable, false)

    const change = { digest: approval.digest, lines: [{ sku: 'ABC123', quantity: 2 }] }
    assert.equal((await act(body.orderId, 'edit', change)).status, 202)
    const order = await ended(body.orderId)

    assert.deepEqual([order.status, order.round, order.decision.by], ['fulfilled', 2, 'agent'])
    assert.equal((await stockOf('ABC123'))?.committed, 2)
    assert.equal(await liveLabels(body.orderId), 1)
  })

  it('end as rejected when a person says no, here and at the order service', async () => {
    const { body } = await postOrder(url, { sku: 'MNO345', qty: 1, customer: 'John Doe' })
    const { approval } = (await get(`${url}/orders/${body.orderId}`)).body

    assert.equal((await act(body.orderId, 'reject', { digest: approval.digest })).status, 202)

    const order = await ended(body.orderId)
    assert.deepEqual([order.status, order.code], ['rejected', 'rejected_by_person'])
    const [copy] = await t.rows('orders', 'select status from sales_order where order_id = $1', [
      body.orderId,
    ])
    assert.equal(copy?.status, 'rejected')
  })

  it('go on from where they were stuck, with the label they have', async () => {
    await t.rows(
      'inventory',
      `create function refuse_commit() returns trigger language plpgsql as
         $$ begin if new.state = 'committed' then raise exception 'not now'; end if; return new; end $$`,
    )
    await t.rows(
      'inventory',
      `create trigger refuse_commit before update on reservation
         for each row execute function refuse_commit()`,
    )
    const before = await stockOf('ABC123')
    const { body } = await postOrder(
      url,
      { sku: 'ABC123', qty: 1, customer: 'John Doe' },
      { 'idempotency-key': randomUUID() },
    )
    assert.equal(body.status, 'stuck', JSON.stringify(body))
    await waitFor(
      async () => /^orders_stuck\{[^}]*\} 1$/m.test((await get(`${url}/metrics`)).body),
      { what: 'the metric of stuck orders' },
    )
    await t.rows('inventory', 'drop trigger refuse_commit on reservation')

    assert.equal((await act(body.orderId, 'resume')).status, 202)
    const order = await ended(body.orderId)

    assert.equal(order.status, 'fulfilled')
    assert.equal(order.label.trackingNumber, body.label.trackingNumber)
    assert.equal(await liveLabels(body.orderId), 1)
    const after = await stockOf('ABC123')
    assert.deepEqual([after?.held, after?.committed], [0, (before?.committed ?? 0) + 1])
  })

  it('ship once though the orchestrator dies as soon as one is approved', async () => {
    await t.rows('inventory', restockSql)
    const before = await stockOf('PQR678')
    const { orderId, digest } = await holdLamps()

    const approved = act(orderId, 'approve', { digest }).catch(() => undefined)
    const hasBegun = async () =>
      (await t.rows('orchestrator', begunSql, [orderId])).length === 1 || undefined
    await waitFor(hasBegun, { what: 'the round that was approved' })
    await t.platform.kill('orchestrator')
    await approved
    await t.platform.start('orchestrator')
    const order = await ended(orderId)

    assert.deepEqual([order.status, order.round, order.decision.by], ['fulfilled', 2, 'person'])
    assert.equal(await liveLabels(orderId), 1)
    assert.deepEqual(await stockOf('PQR678'), {
      available: (before?.available ?? 0) - 9,
      held: 0,
      committed: (before?.committed ?? 0) + 9,
    })
    assert.equal((await act(orderId, 'approve', { digest })).body.code, 'approval_used')
  })

  it('go on once the warehouse is back that died right after their label was bought', async () => {
    const before = await stockOf('ABC123')
    // Every commit takes so long that the process can be killed in the midst of it.
    await t.rows('inventory', stallSql)
    await t.rows(
      'inventory',
      `create trigger stall_commit before update on reservation
         for each row execute function stall_commit()`,
    )
    const { body } = await postOrder(
      url,
      { sku: 'ABC123', qty: 1, customer: 'John Doe' },
      { prefer: 'respond-async' },
    )
    const { orderId } = body
    await waitFor(async () => (await t.rows('inventory', stalledSql)).length > 0, {
      what: 'the commit under way',
    })
    assert.equal(await liveLabels(orderId), 1)

    await t.platform.kill('inventory')
    await t.rows('inventory', `select pg_terminate_backend(pid) from (${stalledSql}) as stalled`)
    await t.rows('inventory', 'drop trigger stall_commit on reservation')
    const stuck = await ended(orderId)
    assert.deepEqual([stuck.status, stuck.code], ['stuck', 'dependency_unavailable'])
    await t.platform.start('inventory')

    assert.equal((await act(orderId, 'resume')).status, 202)
    const order = await ended(orderId)

    assert.equal(order.status, 'fulfilled', JSON.stringify(order))
    assert.equal(order.label.trackingNumber, stuck.label.trackingNumber)
    assert.equal(await liveLabels(orderId), 1)
    assert.deepEqual(await stockOf('ABC123'), {
      available: (before?.available ?? 0) - 1,
      held: 0,
      committed: (before?.committed ?? 0) + 1,
    })
  })
})

const begunSql = 'select 1 from customer_order where order_id = $1 and round = 2'
const stallSql = `create function stall_commit() returns trigger language plpgsql as
  $$ begin if new.state = 'committed' then perform pg_sleep(60); end if; return new; end $$`
const stalledSql = `select pid from pg_stat_activity
  where datname = current_database() and wait_event = 'PgSleep'`
const restockSql = `with restocked as (
    update stock set available = available + 9, adjusted = adjusted + 9
     where sku = 'PQR678' returning available)
  insert into stock_adjustment
    (request_id, sku, quantity, available_after, reason, adjusted_by)
  select gen_random_uuid(), 'PQR678', 9, available, 'Delivery', 'test' from restocked`
