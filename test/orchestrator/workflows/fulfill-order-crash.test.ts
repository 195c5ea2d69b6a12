import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { requestCancel } from '../../../orchestrator/order-store.ts'
import { rejected, unavailable } from '../../../platform/errors.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { finding, openedOrder, validation } from '../support/answers.ts'
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
    ['shipped as a person approved', { approved: {} }, 'fulfilled'],
    ['not as a person approved', { approved: { totalCents: 1 } }, 'held'],
    [
      'approved and refused by the carrier',
      { approved: {}, answers: { generate_label: rejected('address_refused', 'No such street') } },
      'held',
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
    [
      'stuck in its undo',
      {
        model: modelOf({ decide: decides('cancel') }),
        answers: { release_stock: away },
      },
      'stuck',
    ],
    ['shipped while the order service is away', { answers: { close_order: away } }, 'fulfilled'],
    [
      'held because the order service is away to its end',
      { answers: { validate_order: away, close_order: away } },
      'held',
    ],
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
    const isTriedAgain = (tool: string) =>
      names.includes(`${tool}#2`) || names.includes(`${tool}_later`)
    assert.deepEqual(
      repeated.filter((tool) => !isTriedAgain(tool)),
      [],
      at,
    )
    for (const { tool, input } of ran.services.calls) {
      if (writes.includes(tool)) assert.deepEqual([input.orderId, input.round], [ran.orderId, 1])
    }
    const ends = (await ran.events()).filter((event) => event.startsWith('order_finished'))
    assert.equal(ends.length, 1, at)
    // What orders_total counts: once, whichever of the two processes wrote the end.
    assert.deepEqual(
      ran.endings.map(({ outcome }) => outcome),
      [(await ran.end()).status],
      at,
    )
  }

  it('ends as if it had not when it dies again and again', async () => {
    const ran = await createWorld(db)
    let deaths = 0
    for (let position = 0; !(await ran.run({ position, moment: 'after' })); deaths++) {
      do position++
      while (ran.engine.records[position] !== undefined)
    }

    // Seven single steps, and at least one of those that run side by side.
    assert.ok(deaths >= 8, `${deaths} deaths`)
    assert.equal((await ran.end()).status, 'fulfilled')
    for (const tool of ['reserve_stock', 'generate_label', 'commit_stock', 'close_order']) {
      assert.ok(ran.services.tools.filter((called) => called === tool).length <= 2, tool)
    }
  })

  it('tells of a verdict exactly what the run then acted on', async () => {
    // Asked again, an agent may see things differently.
    const changing = (_call: Call, times: number) =>
      times === 1 ? validation() : validation({ verdict: 'review' })
    const ran = await createWorld(db, { answers: { validate_order: changing } })
    await ran.run({ position: 1, moment: 'after' })
    assert.ok(!ran.engine.names.includes('validate_order'))

    await ran.run()

    const report = (await ran.reports()).find(({ name }) => name === 'validate_order')
    const { verdict } = (report?.result ?? {}) as { verdict?: string }
    const { status } = await ran.end()
    assert.ok(
      ['accept fulfilled', 'review held'].includes(`${verdict} ${status}`),
      `${verdict} ${status}`,
    )
  })

  it('leaves its process’s flight again where it goes on once its outcome is recorded', async () => {
    let left = 0
    const leave = () => {
      left += 1
    }
    const ran = await createWorld(db, { answers: { close_order: away } })
    await ran.run(undefined, {}, leave)
    assert.equal(left, 1)
    const position = ran.engine.names.indexOf('close_order_later')
    ran.engine.records.length = position

    assert.equal(await ran.run({ position, moment: 'before' }, {}, leave), false)

    assert.equal(left, 2)
  })

  it('waits for its database as long as it is away', async () => {
    const ran = await createWorld(db)
    let failures = 9
    const query = (...args: Parameters<typeof db.query>) => {
      const isHit = JSON.stringify(args).includes('reserve_stock')
      if (!isHit || failures-- <= 0) return db.query(...args)
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    }

    await ran.run(undefined, { pool: { query, connect: () => db.connect() } as never })

    assert.equal((await ran.end()).status, 'fulfilled')
  })

  it('ends as held when its database refuses what it writes', async () => {
    const ran = await createWorld(db)
    const query = (...args: Parameters<typeof db.query>) => {
      if (!JSON.stringify(args).includes('validate_order')) return db.query(...args)
      throw Object.assign(new Error('it cannot be stored'), { code: '22P02' })
    }

    await ran.run(undefined, { pool: { query, connect: () => db.connect() } as never })

    const { status, code } = await ran.end()
    assert.deepEqual([status, code], ['held', 'internal_error'])
  })
})
