import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rejected, unavailable } from '../../../platform/errors.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { finding, openedOrder } from '../support/answers.ts'
import { endOf, orchestratorMigrations } from '../support/orders.ts'
import type { Call, Table } from '../support/services.ts'
import { createWorld, decides, modelOf, type WorldOptions } from '../support/world.ts'

const away = unavailable('dependency_unavailable', 'It cannot be reached')
const writes = ['reserve_stock', 'generate_label', 'commit_stock', 'void_label', 'release_stock']

describe('a run that goes on with a stuck order', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
  })
  after(() => db[Symbol.asyncDispose]())

  /** An order that got stuck on a service that was away and now is there. */
  async function stuck(tool: string, options: WorldOptions = {}) {
    let isAway = true
    const answer = (...args: [never, number]) => {
      if (isAway) throw away
      const given = options.answers?.[tool]
      return typeof given === 'function' ? given(...args) : given
    }
    const answers: Table = { ...options.answers, [tool]: answer }
    const ran = await createWorld(db, { ...options, answers })
    await ran.run()
    assert.equal((await ran.end()).status, 'stuck')
    isAway = false
    return ran
  }

  const ways: [what: string, tool: string, options: WorldOptions, status: string][] = [
    ['forward from its label', 'generate_label', {}, 'fulfilled'],
    ['forward from its stock', 'commit_stock', {}, 'fulfilled'],
    ['forward as a person approved', 'commit_stock', { approved: {} }, 'fulfilled'],
    [
      'back, as it was decided',
      'release_stock',
      { model: modelOf({ decide: decides('cancel') }) },
      'cancelled',
    ],
    [
      'back, when the carrier refuses the label after all',
      'generate_label',
      { answers: { generate_label: rejected('address_refused', 'No such street') } },
      'held',
    ],
  ]
  for (const [what, tool, options, status] of ways) {
    it(`ends as if its process had not died, at whatever step: ${what}`, async () => {
      const whole = await stuck(tool, options)
      assert.equal(await whole.resume(), true)
      const end = await whole.end()
      assert.deepEqual([end.status, end.phase], [status, 'closed'])

      for (let position = 0; position < whole.resumed.records.length; position++) {
        for (const moment of ['before', 'after'] as const) {
          const at = `${moment} ${whole.resumed.names[position]}`
          const ran = await stuck(tool, options)
          assert.equal(await ran.resume({ position, moment }), false, at)

          assert.equal(await ran.resume(), true, at)

          assert.deepEqual(await ran.end(), end, at)
          assert.deepEqual(ran.resumed.names, whole.resumed.names, at)
          const keys = ran.services.calls.filter((call) => writes.includes(call.tool))
          assert.ok(keys.every(({ input }) => input.orderId === ran.orderId && input.round === 1))
          const ends = (await ran.events()).filter((event) => event.startsWith('order_finished'))
          assert.deepEqual(ends, ['order_finished stuck', `order_finished ${status}`], at)
          const counted = ran.endings.map(({ outcome }) => outcome)
          assert.deepEqual(counted, ['stuck', status], at)
        }
      }
    })
  }

  describe('or ends a held one otherwise', () => {
    const over = ({ input }: Call) =>
      openedOrder(input.orderId, { findings: [finding('over_limit', 'held')] })
    const held = async (answers: Table = {}) => {
      const ran = await createWorld(db, { answers: { open_order: over, ...answers } })
      await ran.run()
      assert.equal((await ran.end()).status, 'held')
      return ran
    }
    const rejection = endOf('rejected', 'rejected_by_person')
    const cancellation = endOf('cancelled', 'cancelled_by_client')
    const ends = [
      ['as rejected by a person', rejection, 'ending'],
      ['as given up by its client', cancellation, 'cancelling'],
    ] as const

    for (const [what, ending, phase] of ends) {
      it(`as if its process had not died, at whatever step: ${what}`, async () => {
        const { outcome: status, code } = ending
        const whole = await held()
        assert.equal(await whole.dismiss(ending, phase), true)
        assert.deepEqual(await whole.end(), { status, code, phase: 'closed' })

        for (let position = 0; position < whole.resumed.records.length; position++) {
          for (const moment of ['before', 'after'] as const) {
            const at = `${moment} ${whole.resumed.names[position]}`
            const ran = await held()
            assert.equal(await ran.dismiss(ending, phase, { position, moment }), false, at)

            assert.equal(await ran.dismiss(ending, phase), true, at)

            assert.deepEqual(await ran.end(), { status, code, phase: 'closed' }, at)
            const closes = ran.services.calls.filter(({ tool }) => tool === 'close_order')
            assert.deepEqual(
              [closes[0]?.input.outcome, closes.at(-1)?.input.outcome],
              ['held', status],
            )
            assert.ok(
              !ran.services.tools.some((tool) => /^(reserve|generate|commit)_/.test(tool)),
              at,
            )
            const told = (await ran.events()).filter((event) => event.startsWith('order_finished'))
            assert.deepEqual(told, ['order_finished held', `order_finished ${status}`], at)
          }
        }
      })

      it(`also where a service that holds nothing for it is away: ${what}`, async () => {
        const ran = await held({ release_stock: away, void_label: away })

        await ran.dismiss(ending, phase)

        assert.equal((await ran.end()).status, ending.outcome)
      })
    }
  })

  it('tells its steps beside those of the run before', async () => {
    const ran = await stuck('commit_stock')

    await ran.resume()

    const events = await ran.events()
    assert.ok(events.includes('order_resumed undefined'))
    const told = events.filter((event) => event === 'step_finished generate_label')
    assert.equal(told.length, 2)
    const { summary } = await ran.order()
    assert.equal(summary?.decision.by, 'agent')
  })
})
