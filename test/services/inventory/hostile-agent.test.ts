/** check_inventory while a hostile model judges: numbers stay the database's, offers stay true. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createStockAgent } from '../../../services/inventory/agent.ts'
import { checkInventory } from '../../../services/inventory/contract.ts'
import { inventoryTools } from '../../../services/inventory/tools.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import {
  hostileModel,
  hostilePersonas,
  overruns,
  shortLimits,
} from '../../support/hostile-model.ts'
import { resetStock } from './stock-of.ts'

const settings = { model: 'claude-sonnet-5-5', effort: 'low', limits: shortLimits } as const
const checksEach = 8

describe('check_inventory under a hostile model', () => {
  let db: TestDatabase

  before(async () => {
    db = await testDatabase('services/inventory/migrations')
    await resetStock(db, { cup: 5, tray: 3, walnut: 20 })
    await db.query(`insert into substitute values ('tray', 'walnut', 1)`)
  })
  after(() => db[Symbol.asyncDispose]())

  for (const persona of hostilePersonas) {
    it(`never calls a short order available and offers nothing untrue: ${persona}`, async () => {
      await using model = await hostileModel(persona)
      const tool = inventoryTools(db, createStockAgent(model.deps, settings)).find(
        ({ contract }) => contract.name === checkInventory.name,
      )
      const check = async (lines: readonly { sku: string; quantity: number }[]) => {
        const context = {
          signal: AbortSignal.timeout(10_000),
          traceId: 't',
          clientId: 'test',
          scopes: [],
        }
        const output = await tool?.handle({ orderId: randomUUID(), round: 1, lines }, context)
        const answer = checkInventory.output.parse(output)
        assert.deepEqual(overruns(answer.agent, shortLimits), [])
        for (const reason of answer.reasons) assert.ok(reason.isWellFormed())
        return answer
      }

      for (let nr = 0; nr < checksEach; nr++) {
        const short = await check([
          { sku: 'cup', quantity: 2 },
          { sku: 'tray', quantity: 5 },
        ])
        assert.equal(short.available, false)
        assert.notEqual(short.verdict, 'available')
        assert.deepEqual(
          short.lines.map(({ sku, quantity, available, short }) => [
            sku,
            quantity,
            available,
            short,
          ]),
          [
            ['cup', 2, 5, 0],
            ['tray', 5, 3, 2],
          ],
        )
        const { kind, substituteSku } = short.lines[1]?.offer ?? assert.fail()
        assert.ok(kind === 'substitute' ? substituteSku === 'walnut' : substituteSku === null)

        const there = await check([{ sku: 'cup', quantity: 2 }])
        assert.equal(there.available, true)
        assert.notEqual(there.verdict, 'short')
      }
    })
  }
})
