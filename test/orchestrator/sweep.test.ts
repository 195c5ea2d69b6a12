import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { endFailedRuns } from '../../orchestrator/failed-runs.ts'
import { startForgotten } from '../../orchestrator/intake.ts'
import { readEvents } from '../../orchestrator/order-events.ts'
import { resumeOrder } from '../../orchestrator/order-rounds.ts'
import { readOrder } from '../../orchestrator/order-store.ts'
import { runIdOf, startRun } from '../../orchestrator/runs.ts'
import type { Ending } from '../../orchestrator/workflows/endings.ts'
import { unavailable } from '../../platform/errors.ts'
import { waitFor } from '../support/wait-for.ts'
import { startTestOrchestrator, type TestOrchestrator } from './support/orchestrator.ts'
import { placeOrder } from './support/orders.ts'

describe('looking after orders whose run does not', () => {
  let orchestrator: TestOrchestrator
  let deps: TestOrchestrator['deps']

  before(async () => {
    orchestrator = await startTestOrchestrator()
    deps = orchestrator.deps
  })
  after(() => orchestrator[Symbol.asyncDispose]())

  const read = (orderId: string) => readOrder(deps.pool, orderId)
  const age = (orderId: string) =>
    deps.pool.query(
      `update customer_order set requested_at = requested_at - interval '1 minute' where order_id = $1`,
      [orderId],
    )
  const callsFor = (orderId: string) =>
    orchestrator.services.calls.filter(({ input }) => input.orderId === orderId)

  it('starts the run of an order whose process died before it could', async () => {
    const [old, fresh] = [await placeOrder(deps.pool), await placeOrder(deps.pool)]
    await age(old.orderId)

    await Promise.all([startForgotten(deps), startForgotten(deps)])

    await waitFor(async () => (await read(old.orderId)).status === 'fulfilled', { what: 'the end' })
    const bought = callsFor(old.orderId).filter(({ tool }) => tool === 'generate_label')
    assert.equal(bought.length, 1)
    // It may be on its way to its start just now.
    assert.equal((await read(fresh.orderId)).status, 'running')
    assert.deepEqual(callsFor(fresh.orderId), [])
  })

  it('leaves alone what waits for its first step', async () => {
    const gate = Promise.withResolvers<undefined>()
    orchestrator.table.open_order = () => gate.promise
    const placed = await placeOrder(deps.pool)
    const { orderId } = placed
    await age(orderId)
    await startForgotten(deps)
    await waitFor(() => callsFor(orderId).length > 0, { what: 'the first call' })

    await startForgotten(deps)
    await endFailedRuns({ ...deps, onEnd: assert.fail })

    assert.equal(await deps.engine.status(runIdOf(placed)), 'running')
    delete orchestrator.table.open_order
    gate.resolve(undefined)
    await waitFor(async () => (await read(orderId)).status === 'fulfilled', { what: 'the end' })
  })

  it('ends an order as stuck, once and for all, when the engine has given up its run', async () => {
    const gate = Promise.withResolvers<undefined>()
    orchestrator.table.reserve_stock = () => gate.promise
    const placed = await placeOrder(deps.pool)
    const { orderId } = placed
    await age(orderId)
    await startForgotten(deps)
    await waitFor(() => callsFor(orderId).some(({ tool }) => tool === 'reserve_stock'), {
      what: 'the reservation',
    })
    await deps.pool.query(
      `update dbos.workflow_status set status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'
        where workflow_uuid = $1`,
      [runIdOf(placed)],
    )
    const ends: Ending[] = []
    const sweep = () => endFailedRuns({ ...deps, onEnd: (ending) => ends.push(ending) })

    await sweep()
    await sweep()

    const row = await read(orderId)
    assert.deepEqual([row.status, row.code, row.phase], ['stuck', 'run_failed', 'open'])
    assert.deepEqual(
      ends.map(({ outcome }) => outcome),
      ['stuck'],
    )
    const last = (await readEvents(deps.pool, orderId, 0, 100)).at(-1)
    assert.partialDeepStrictEqual(last, {
      type: 'order_finished',
      data: { status: 'stuck', code: 'run_failed' },
    })
    gate.resolve(undefined)
  })

  describe('once a person has sent a stuck one on', () => {
    const away = unavailable('dependency_unavailable', 'It cannot be reached')

    const commits = (orderId: string) =>
      callsFor(orderId).filter(({ tool }) => tool === 'commit_stock').length

    /** Stuck after its pivot, and asked for again; nothing has started the run that was asked for. */
    async function resumed() {
      orchestrator.table.commit_stock = away
      const placed = await placeOrder(deps.pool)
      await startRun(deps, placed, 'direct')
      const isStuck = async () => (await read(placed.orderId)).status === 'stuck'
      await waitFor(isStuck, { what: 'the order to be stuck' })
      delete orchestrator.table.commit_stock
      return resumeOrder(deps.pool, await read(placed.orderId), 'olga')
    }

    it('starts the run that was asked for when its process died before it could', async () => {
      const { orderId } = await resumed()
      await startForgotten(deps)
      assert.equal((await read(orderId)).status, 'running', 'it may be on its way to its start')
      await age(orderId)

      await Promise.all([startForgotten(deps), startForgotten(deps)])

      await waitFor(async () => (await read(orderId)).status === 'fulfilled', { what: 'the end' })
      const bought = callsFor(orderId).filter(({ tool }) => tool === 'generate_label')
      assert.equal(bought.length, 2, 'once in each run, under one key')
      assert.partialDeepStrictEqual((await read(orderId)).summary?.decision, { by: 'agent' })
    })

    it('looks at that run, not at the one before it', async () => {
      const gate = Promise.withResolvers<undefined>()
      const row = await resumed()
      const { orderId } = row
      const before = commits(orderId)
      orchestrator.table.commit_stock = () => gate.promise
      await age(orderId)
      await startForgotten(deps)
      await waitFor(() => commits(orderId) > before, { what: 'a call of the run that goes on' })
      const fail = (runId: string) =>
        deps.pool.query(
          `update dbos.workflow_status set status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'
            where workflow_uuid = $1`,
          [runId],
        )
      const sweep = () => endFailedRuns({ ...deps, onEnd: () => {} })

      await fail(runIdOf({ ...row, resumes: 0 }))
      await sweep()
      assert.equal((await read(orderId)).status, 'running')
      await fail(runIdOf(row))
      await sweep()

      const { status, code, phase } = await read(orderId)
      assert.deepEqual([status, code, phase], ['stuck', 'run_failed', 'committed'])
      delete orchestrator.table.commit_stock
      gate.resolve(undefined)
      const again = await resumeOrder(deps.pool, await read(orderId), 'olga')
      await startRun(deps, again, 'direct')
      await waitFor(async () => (await read(orderId)).status === 'fulfilled', { what: 'the end' })
    })
  })
})
