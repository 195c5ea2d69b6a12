import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type ApprovalPlan, digestOf } from '../../orchestrator/approval.ts'
import { appendEvents, readEvents } from '../../orchestrator/order-events.ts'
import { canonical } from '../../orchestrator/order-request.ts'
import { beginRound, dismissOrder, isUsed, resumeOrder } from '../../orchestrator/order-rounds.ts'
import {
  beginEnding,
  commitOrder,
  findUnstarted,
  finishOrder,
  type OrderRow,
  readOrder,
  requestCancel,
} from '../../orchestrator/order-store.ts'
import type { AppError } from '../../platform/errors.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { endOf, orchestratorMigrations, placeOrder } from './support/orders.ts'

const racesEach = 200
const batch = 10
const rejection = endOf('rejected', 'rejected_by_person')
const cancellation = endOf('cancelled', 'cancelled_by_client')

/** What one of two at once came to: `done`, or the code of its refusal. */
const outcomeOf = (result: PromiseSettledResult<unknown>): string =>
  result.status === 'fulfilled' ? 'done' : (result.reason as AppError).code

describe('what a person does with an order that waits', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => db.query('truncate customer_order, order_event'))

  const planOf = ({ orderId, round }: OrderRow): ApprovalPlan => ({
    ...{ orderId, round: round + 1, lines: [], totalCents: 1, currency: 'USD', shipTo: null },
    ...{ shipBy: null, shipment: null, overrides: [] },
  })
  const digestFor = (row: OrderRow) => digestOf(planOf(row))
  const approve = (row: OrderRow, digest = digestFor(row)) =>
    beginRound(
      db,
      row,
      { by: 'olga', digest },
      { approval: { by: 'olga', digest, plan: planOf(row) } },
    )
  const edit = (row: OrderRow, digest = digestFor(row)) =>
    beginRound(db, row, { by: 'olga', digest }, { request: { ...row.request, note: 'Changed' } })
  const reject = (row: OrderRow, digest = digestFor(row)) =>
    dismissOrder(db, row, { by: 'olga', digest }, rejection)
  const giveUp = (row: OrderRow) =>
    dismissOrder(db, row, { by: 'acme' }, cancellation, 'cancelling')
  const resume = (row: OrderRow) => resumeOrder(db, row, 'olga')

  const held = async (): Promise<OrderRow> => {
    const { orderId } = await placeOrder(db)
    await finishOrder(db, orderId, 1, endOf('held', 'over_limit'))
    return readOrder(db, orderId)
  }
  const stuck = async (): Promise<OrderRow> => {
    const { orderId } = await placeOrder(db)
    await commitOrder(db, orderId, 1)
    await finishOrder(db, orderId, 1, endOf('stuck', 'dependency_unavailable'))
    return readOrder(db, orderId)
  }
  const eventsOf = async (orderId: string) =>
    (await readEvents(db, orderId, 0, 100)).map(({ type, round }) => [type, round])

  type Act = (row: OrderRow) => Promise<OrderRow>
  const races: [what: string, from: () => Promise<OrderRow>, one: Act, other: Act][] = [
    ['two approvals', held, approve, approve],
    ['an approval and an edit', held, approve, edit],
    ['an approval and a rejection', held, approve, reject],
    ['an approval and a cancel', held, approve, giveUp],
    ['an edit and a rejection', held, edit, reject],
    ['two rejections', held, reject, reject],
    ['two cancels', held, giveUp, giveUp],
    ['two resumes', stuck, resume, resume],
  ]
  for (const [what, from, one, other] of races) {
    it(`is done by exactly one of ${what} at once`, async () => {
      const refusals = new Set<string>()
      const race = async (isSwapped: boolean) => {
        const row = await from()
        const acts = isSwapped ? [other, one] : [one, other]

        const results = await Promise.allSettled(acts.map((act) => act(row)))

        const outcomes = results.map(outcomeOf)
        assert.equal(outcomes.filter((outcome) => outcome === 'done').length, 1, outcomes.join())
        for (const outcome of outcomes) if (outcome !== 'done') refusals.add(outcome)
        const now = await readOrder(db, row.orderId)
        assert.equal(now.status, 'running')
        // One step on, never two: either another round, or another run of this one.
        assert.equal(now.round + now.resumes, 2)
        assert.equal((await eventsOf(row.orderId)).length, 1)
      }

      for (let done = 0; done < racesEach; done += batch) {
        await Promise.all(Array.from({ length: batch }, (_, i) => race(i % 2 === 0)))
      }

      const named = ['approval_used', 'not_held', 'not_stuck']
      assert.ok(
        [...refusals].every((code) => named.includes(code)),
        [...refusals].join(),
      )
    })
  }

  it('begins the next round as a new one, with what was approved', async () => {
    const row = await held()

    const begun = await approve(row)

    assert.partialDeepStrictEqual(begun, {
      ...{ round: 2, phase: 'open', status: 'running', code: null, summary: null, resumes: 0 },
      ...{ finishedAt: null, approval: { by: 'olga', digest: digestFor(row), plan: planOf(row) } },
    })
    assert.deepEqual(await eventsOf(row.orderId), [['order_approved', 1]])
    assert.equal(await isUsed(db, row.orderId, digestFor(row)), true)
    assert.equal(await isUsed(db, randomUUID(), digestFor(row)), false)
  })

  it('forgets the approval of an earlier round once the order is edited', async () => {
    const row = await held()
    await approve(row)
    await finishOrder(db, row.orderId, 2, endOf('held', 'approval_stale'))

    const edited = await edit(await readOrder(db, row.orderId))

    assert.deepEqual([edited.round, edited.approval, edited.request.note], [3, null, 'Changed'])
  })

  it('writes nothing when it comes too late', async () => {
    const row = await held()
    await giveUp(row)
    const before = await eventsOf(row.orderId)

    for (const act of [approve, edit, reject]) {
      await assert.rejects(act(row), { kind: 'rejected', code: 'not_held' })
    }

    assert.deepEqual(await eventsOf(row.orderId), before)
    assert.equal(await isUsed(db, row.orderId, digestFor(row)), false)
  })

  it('is refused by a row that was read before another round began', async () => {
    const old = await held()
    await approve(old)
    await finishOrder(db, old.orderId, 2, endOf('held', 'approval_stale'))

    const other = createHash('sha256').update('another plan').digest('hex')
    await assert.rejects(approve(old, other), { code: 'not_held' })

    assert.equal((await readOrder(db, old.orderId)).round, 2)
  })

  it('has a digest that tells orders and rounds apart, and no order of its fields', async () => {
    const row = await held()
    const plan = planOf(row)
    const shuffled = Object.fromEntries(Object.entries(plan).reverse()) as unknown as ApprovalPlan

    assert.equal(digestOf(shuffled), digestOf(plan))
    assert.equal(digestOf(plan), createHash('sha256').update(canonical(plan)).digest('hex'))
    assert.notEqual(digestOf({ ...plan, round: 3 }), digestOf(plan))
    assert.notEqual(digestOf({ ...plan, orderId: randomUUID() }), digestOf(plan))
  })

  describe('has its limits', () => {
    it('of 100 rounds, named as such', async () => {
      const row = await held()
      await db.query('update customer_order set round = 100 where order_id = $1', [row.orderId])
      const last = await readOrder(db, row.orderId)

      await assert.rejects(approve(last), { kind: 'rejected', code: 'too_many_rounds' })

      assert.equal((await reject(last)).status, 'running')
    })

    it('of 100 runs of one round, named as such', async () => {
      const row = await stuck()
      const spend = (status: string) =>
        db.query('update customer_order set resumes = 100, status = $2 where order_id = $1', [
          row.orderId,
          status,
        ])

      await spend('stuck')
      await assert.rejects(resume(row), { kind: 'rejected', code: 'too_many_resumes' })
      await spend('held')
      await assert.rejects(giveUp(row), { kind: 'rejected', code: 'too_many_resumes' })

      assert.deepEqual(await eventsOf(row.orderId), [])
    })
  })

  describe('and the run that it asks for', () => {
    const unstarted = async () => {
      await db.query(`update customer_order set requested_at = now() - interval '1 minute'`)
      return (await findUnstarted(db, 5_000, 10)).map(({ orderId, round, resumes }) => [
        ...[orderId, round, resumes],
      ])
    }
    const tell = (row: OrderRow, resume: number, key: string) =>
      appendEvents(db, { orderId: row.orderId, round: row.round, resume }, [
        { key, type: 'step_finished', data: { name: key } },
      ])

    it('is found unstarted, though the run before it still tells what it does', async () => {
      // Once an outcome is recorded, a run may go on telling the order service of it.
      const row = await held()
      await approve(row)
      await tell(row, 0, '1:close_order_later:step_finished')

      assert.deepEqual(await unstarted(), [[row.orderId, 2, 0]])
    })

    it('is found unstarted, though the run of the same round still tells what it does', async () => {
      for (const [from, act] of [
        [held, giveUp],
        [stuck, resume],
      ] as const) {
        const row = await from()
        await act(row)
        await tell(row, 0, '1:close_order_later:step_finished')

        assert.deepEqual(await unstarted(), [[row.orderId, 1, 1]])
        await tell(row, 1, '1.1:close_order:step_finished')
        assert.deepEqual(await unstarted(), [])
        await finishOrder(db, row.orderId, 1, endOf('cancelled'), 1)
      }
    })

    it('says nothing any more of how the run before it ended', async () => {
      for (const [from, act] of [
        [held, giveUp],
        [stuck, resume],
      ] as const) {
        assert.equal((await act(await from())).code, null)
      }
    })

    it('alone can end the round', async () => {
      const row = await stuck()
      await resume(row)

      await finishOrder(db, row.orderId, 1, endOf('held', 'internal_error'), 0)
      assert.equal((await readOrder(db, row.orderId)).status, 'running')
      await finishOrder(db, row.orderId, 1, endOf('fulfilled'), 1)

      assert.equal((await readOrder(db, row.orderId)).status, 'fulfilled')
    })

    it('cannot be cancelled where it goes forward or ends, only where it is open', async () => {
      const tooLate = { kind: 'rejected', code: 'too_late' }
      const forward = await stuck()
      await resume(forward)
      await assert.rejects(requestCancel(db, forward.orderId), tooLate)
      const dismissed = await held()
      await reject(dismissed)
      await assert.rejects(requestCancel(db, dismissed.orderId), tooLate)

      const { orderId } = await placeOrder(db)
      await finishOrder(db, orderId, 1, endOf('stuck', 'run_failed'))
      await resume(await readOrder(db, orderId))
      await requestCancel(db, orderId)

      assert.equal(await beginEnding(db, orderId, 1), false)
    })
  })
})
