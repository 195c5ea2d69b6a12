import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { endFailedRuns } from '../../orchestrator/failed-runs.ts'
import { startForgotten } from '../../orchestrator/intake.ts'
import { readEvents } from '../../orchestrator/order-events.ts'
import { readOrder } from '../../orchestrator/order-store.ts'
import { runIdOf } from '../../orchestrator/runs.ts'
import type { Ending } from '../../orchestrator/workflows/endings.ts'
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
})
