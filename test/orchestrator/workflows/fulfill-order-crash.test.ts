import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { requestCancel } from '../../../orchestrator/order-store.ts'
import { rejected, unavailable } from '../../../platform/errors.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { finding, openedOrder, shipment, stockLine, validation } from '../support/answers.ts'
import type { Death } from '../support/memory-engine.ts'
import { orchestratorMigrations } from '../support/orders.ts'
import type { Call } from '../support/services.ts'
import { createWorld, decides, modelOf, plans, type WorldOptions } from '../support/world.ts'

const away = unavailable('dependency_unavailable', 'It cannot be reached')
const note = { lines: [{ sku: 'mug', quantity: 2 }], customer: { id: 'cus_ada' }, note: 'Hi' }
const writes = [
  'open_order',
  'reserve_stock',
  'generate_label',
  'commit_stock',
  'void_label',
  'release_stock',
  'close_order',
]

describe('a run whose process dies', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
  })
  after(() => db[Symbol.asyncDispose]())

  const ways: [what: string, options: WorldOptions, status: string][] = [
    ['shipped', {}, 'fulfilled'],
    [
      'shipped by plan',
      {
        request: note,
        planning: 'always',
        model: modelOf({ plan: plans({ skip: ['check_inventory'] }), decide: decides('ship') }),
      },
      'fulfilled',
    ],
    [
      'rejected',
      {
        answers: {
          open_order: ({ input }: Call) =>
            openedOrder(input.orderId, { findings: [finding('no_address', 'rejected')] }),
        },
      },
      'rejected',
    ],
    ['backordered', { answers: { get_stock: { stock: [] } } }, 'backordered'],
    [
      'backordered late',
      { answers: { reserve_stock: rejected('out_of_stock', 'Not enough') } },
      'backordered',
    ],
    ['held by a doubt', { answers: { validate_order: validation({ verdict: 'review' }) } }, 'held'],
    ['held by decision', { model: modelOf({ decide: decides('hold') }) }, 'held'],
    ['held for a service that is away', { answers: { reserve_stock: away } }, 'held'],
    [
      'held for a label that is refused',
      { answers: { generate_label: rejected('address_refused', 'No such street') } },
      'held',
    ],
    [
      'cancelled during its reservation',
      {
        answers: {
          reserve_stock: ({ input }: Call) => requestCancel(db, input.orderId),
        },
      },
      'cancelled',
    ],
    ['stuck after the pivot', { answers: { commit_stock: away } }, 'stuck'],
    ['stuck in its undo', {
      model: modelOf({ decide: decides('cancel') }),
      answers: { release_stock: away },
    }, 'stuck'],
    ['shipped while the order service is away', { answers: { close_order: away } }, 'fulfilled'],
  ]
  for (const [what, options, status] of ways) {
    it(`ends as if it had not, at whatever step: ${what}`, async () => {
      const whole = await createWorld(db, options)
      await whole.run()
      const end = await whole.end()
      assert.equal(end.status, status)

      for (let position = 0; position < whole.engine.records.length; position++) {
        for (const moment of ['before', 'after'] as const) {
          await diesOnce(options, { position, moment }, end, whole.engine.names)
        }
      }
    })
  }

  async function diesOnce(
    options: WorldOptions,
    death: Death,
    end: object,
    names: readonly string[],
  ): Promise<void> {
    const at = `${death.moment} ${names[death.position]} (${death.position})`
    const ran = await createWorld(db, options)
    assert.equal(await ran.run(death), false, at)
    const recorded = new Set(ran.engine.names)
    const before = ran.services.calls.length

    assert.equal(await ran.run(), true, at)

    assert.deepEqual(await ran.end(), end, at)
    assert.deepEqual(ran.engine.names.slice().sort(), names.slice().sort(), at)
    const repeated = ran.services.tools.slice(before).filter((tool) => recorded.has(tool))
    // What a step that must get through tries in later rounds has the same tool.
    assert.deepEqual(repeated.filter((tool) => !names.includes(`${tool}#2`)), [], at)
    for (const { tool, input } of ran.services.calls) {
      if (writes.includes(tool)) assert.deepEqual([input.orderId, input.round], [ran.orderId, 1])
    }
    const ends = (await ran.events()).filter((event) => event.startsWith('order_finished'))
    assert.equal(ends.length, 1, at)
    const reports = await ran.reports()
    assert.equal(new Set(reports.map(({ name }) => name)).size <= reports.length, true)
  }

  it('ends as if it had not when it dies again and again', async () => {
    const ran = await createWorld(db)
    let deaths = 0
    for (let position = 0; !(await ran.run({ position, moment: 'after' })); position++) deaths++

    assert.ok(deaths >= 10, `${deaths} deaths`)
    assert.equal((await ran.end()).status, 'fulfilled')
    for (const tool of writes.slice(0, 4)) {
      assert.ok(ran.services.tools.filter((called) => called === tool).length <= 2, tool)
    }
  })

  it('tells of a verdict exactly what the run then acted on', async () => {
    for (const moment of ['before', 'after'] as const) {
      // Asked again, an agent may see things differently.
      const changing = (_call: Call, times: number) =>
        times === 1 ? validation() : validation({ verdict: 'review', reasons: ['on reflection'] })
      const ran = await createWorld(db, { answers: { validate_order: changing } })
      const position = 2
      await ran.run({ position, moment })
      await ran.run()

      const report = (await ran.reports()).find(({ name }) => name === 'validate_order')
      const { status } = await ran.end()
      const { verdict } = report?.result as { verdict: string }
      assert.deepEqual([verdict, status], ['accept', 'fulfilled'], moment)
    }
  })

  it('goes on as it began when the configuration changed meanwhile', async () => {
    const options = { request: note, answers: { open_order: ({ input }: Call) => openedOrder(input.orderId, { note: 'Hi' }) } }
    const ran = await createWorld(db, { ...options, planning: 'always' })
    await ran.run({ position: 4, moment: 'before' })
    assert.ok(ran.engine.names.includes('plan'))

    const restarted = await createWorld(db, { ...options, planning: 'never', resume: ran })
    await restarted.run()

    assert.equal((await ran.end()).status, 'fulfilled')
  })

  it('writes down how it ends although its database was away for a while', async () => {
    let failures = 9
    const ran = await createWorld(db, {
      answers: { propose_shipment: shipment(), check_inventory: undefined as never },
      query: () => {
        if (failures-- > 0) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
      },
    })

    await ran.run()

    assert.equal((await ran.end()).status, 'fulfilled')
    assert.ok(stockLine())
  })
})
