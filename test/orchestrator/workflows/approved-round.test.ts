import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { requestCancel } from '../../../orchestrator/order-store.ts'
import { rejected } from '../../../platform/errors.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { finding, openedOrder, shipment, shipTo } from '../support/answers.ts'
import { orchestratorMigrations } from '../support/orders.ts'
import type { Call, Table } from '../support/services.ts'
import { createWorld, modelOf, type WorldOptions } from '../support/world.ts'

const agentTools = ['validate_order', 'check_inventory', 'plan', 'decide', 'prepare_decision']
/** A model that must not be asked. */
const unasked = modelOf({ plan: new Error('asked'), decide: new Error('asked') })
const opened = (change: object) => ({
  open_order: ({ input }: Call) => openedOrder(input.orderId, change),
})
const withPrice = (unitPriceCents: number) =>
  openedOrder('x').lines.map((line) => ({ ...line, unitPriceCents }))

describe('a round that a person approved', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
  })
  after(() => db[Symbol.asyncDispose]())

  async function run(answers: Table = {}, approved: WorldOptions['approved'] = {}) {
    const world = await createWorld(db, { answers, approved, model: unasked, planning: 'always' })
    await world.run()
    assert.deepEqual(
      (await world.reports()).map(({ name }) => name).filter((name) => agentTools.includes(name)),
      [],
      'no agent is asked',
    )
    return world
  }
  const toolsOf = ({ services }: Awaited<ReturnType<typeof run>>) => services.tools

  it('ships exactly that, whatever the settings say of agents and limits', async () => {
    const dear = { totalCents: 900_000 }
    const world = await run(opened(dear), dear)

    assert.equal((await world.end()).status, 'fulfilled')
    assert.deepEqual(toolsOf(world), [
      ...['open_order', 'get_stock', 'propose_shipment', 'reserve_stock'],
      ...['generate_label', 'commit_stock', 'close_order'],
    ])
    const { summary } = await world.order()
    assert.deepEqual(summary?.decision, {
      ...{ by: 'person', outcome: 'fulfilled', reasons: ['Approved by olga'] },
    })
  })

  const changes: [what: string, answers: Table][] = [
    ['a total', opened({ totalCents: 2_401 })],
    ['a price, though the total is the same', opened({ lines: withPrice(1_300) })],
    ['the address', opened({ shipTo: { ...shipTo, street1: '2 Side Street' } })],
    ['a part of the address that was empty', opened({ shipTo: { ...shipTo, street2: 'Flat 2' } })],
    ['the address, which is gone', opened({ shipTo: null })],
    ['the day to ship by', opened({ shipBy: '2026-12-01' })],
    ['the goods', opened({ lines: openedOrder('x').lines.map((l) => ({ ...l, sku: 'cup' })) })],
    ['how many', opened({ lines: openedOrder('x').lines.map((l) => ({ ...l, quantity: 3 })) })],
  ]
  for (const [what, answers] of changes) {
    it(`buys nothing and waits again when something has changed: ${what}`, async () => {
      const stock = { stock: ['mug', 'cup'].map((sku) => ({ sku, name: sku, available: 10 })) }
      const world = await run({ get_stock: stock, ...answers })

      const { status, code } = await world.end()
      assert.deepEqual([status, code], ['held', 'approval_stale'])
      assert.deepEqual(toolsOf(world), ['open_order', 'get_stock', 'close_order'])
    })
  }

  it('passes over what the person saw against it, and over nothing else', async () => {
    const limit = finding('over_limit', 'held')
    const overrides = [{ code: 'over_limit', message: limit.message }]
    const seen = await run(opened({ findings: [limit] }), { overrides })
    const unseen = await run(opened({ findings: [limit] }))
    const blocked = finding('blocked_customer', 'rejected')
    const other = await run(opened({ findings: [limit, blocked] }), { overrides })

    assert.equal((await seen.end()).status, 'fulfilled')
    assert.partialDeepStrictEqual(await unseen.end(), { status: 'held', code: 'over_limit' })
    assert.partialDeepStrictEqual(await other.end(), {
      ...{ status: 'rejected', code: 'blocked_customer' },
    })
    assert.ok(!toolsOf(other).includes('propose_shipment'))
  })

  it('is backordered when the last units are gone, seen before or by the reservation', async () => {
    const gone = { stock: [{ sku: 'mug', name: 'Mug', available: 1 }] }
    const short = { lines: [{ sku: 'mug', available: 1 }] }
    const refused = rejected('out_of_stock', 'Not enough', { details: short })
    const early = await run({ get_stock: gone })
    const late = await run({ reserve_stock: refused })

    for (const world of [early, late]) {
      assert.partialDeepStrictEqual(await world.end(), {
        ...{ status: 'backordered', code: 'out_of_stock' },
      })
      assert.ok(!toolsOf(world).includes('generate_label'))
    }
    assert.ok(toolsOf(late).includes('release_stock'))
  })

  it('buys the approved service at no more than the approved price', async () => {
    const world = await run({}, { shipment: { ...pinned, priceCents: 800 } })

    const asked = world.services.calls.find(({ tool }) => tool === 'propose_shipment')
    assert.deepEqual(asked?.input.pinned, { carrier: 'USPS', service: 'Ground', priceCents: 800 })

    const changed = finding('rate_changed', 'held')
    const dearer = await run(
      { propose_shipment: shipment({ proposal: null, findings: [changed] }) },
      // Not even an approval of an earlier change approves this one.
      { overrides: [{ code: 'rate_changed', message: 'It changed before' }] },
    )
    assert.partialDeepStrictEqual(await dearer.end(), { status: 'held', code: 'rate_changed' })
    assert.ok(!toolsOf(dearer).includes('reserve_stock'))
  })

  const failing: [what: string, answers: Table][] = [
    [
      'what was reserved is not what was ordered',
      {
        reserve_stock: ({ input }: Call) => {
          return { ...input, state: 'held', lines: [{ sku: 'mug', quantity: 1 }] }
        },
      },
    ],
    [
      'the parcel goes elsewhere',
      { propose_shipment: shipment({ shipTo: { ...shipTo, city: 'Shelbyville' } }) },
    ],
  ]
  for (const [what, answers] of failing) {
    it(`is held by the checks of code, whoever approved it: ${what}`, async () => {
      const world = await run(answers)

      assert.partialDeepStrictEqual(await world.end(), { status: 'held', code: 'decided_hold' })
      assert.ok(toolsOf(world).includes('release_stock'))
      assert.ok(!toolsOf(world).includes('generate_label'))
      assert.equal((await world.order()).summary?.decision.by, 'rules')
    })
  }

  it('is cancelled by its client until its pivot, and undone', async () => {
    const world = await run({
      reserve_stock: ({ input }: Call) => requestCancel(db, input.orderId),
    })

    assert.partialDeepStrictEqual(await world.end(), {
      ...{ status: 'cancelled', code: 'cancelled_by_client' },
    })
    assert.ok(toolsOf(world).includes('release_stock'))
    assert.ok(!toolsOf(world).includes('generate_label'))
  })

  it('takes the one way back when the carrier refuses the label for good', async () => {
    const world = await run({ generate_label: rejected('address_refused', 'No such street') })

    assert.partialDeepStrictEqual(await world.end(), { status: 'held', code: 'address_refused' })
    const undone = toolsOf(world).filter((tool) => /^(void|release)_/.test(tool))
    assert.deepEqual(undone, ['void_label', 'release_stock'])
  })
})

const pinned = {
  ...{ carrier: 'USPS', service: 'Ground', priceCents: 780, weightGrams: 700 },
  international: false,
}
