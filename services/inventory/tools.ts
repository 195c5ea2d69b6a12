/** The handlers behind the contract: what each tool does with its checked input. */
import type { Pool } from '../../platform/db.ts'
import { implement, type Tool } from '../../platform/tool.ts'
import type { StockAgent } from './agent.ts'
import * as contract from './contract.ts'
import { commitStock, holdStock, releaseStock } from './reservation-store.ts'
import { lineFacts, mergeLines, settle, settleByRules } from './stock-rules.ts'
import { findStock, findSubstitutes, setStock } from './stock-store.ts'

/** Every tool of the service, over its database and its agent. */
export function inventoryTools(pool: Pool, askAgent: StockAgent): Tool[] {
  return [...checkTools(pool, askAgent), ...reservationTools(pool), ...stockTools(pool)]
}

function checkTools(pool: Pool, askAgent: StockAgent): Tool[] {
  return [
    implement(contract.checkInventory, async ({ orderId, round, lines }, { signal }) => {
      const wanted = mergeLines(lines)
      const skus = wanted.map((line) => line.sku)
      const [stock, substitutes] = await Promise.all([
        findStock(pool, skus),
        findSubstitutes(pool, skus),
      ])
      const facts = lineFacts(wanted, stock, substitutes)
      const known = [...substitutes, ...stock]
      const run = await askAgent({ orderId, round, lines: facts, known }, signal)
      if (run.by === 'agent')
        return { by: run.by, agent: run.record, ...settle(facts, run.verdict) }
      const settled = settleByRules(facts, run.reason)
      return { by: run.by, agentFailure: run.reason, agent: run.record, ...settled }
    }),
  ]
}

function reservationTools(pool: Pool): Tool[] {
  return [
    implement(contract.reserveStock, async ({ orderId, round, lines }) => {
      const held = await holdStock(pool, { orderId, round }, lines)
      return { orderId, round, state: 'held' as const, lines: held }
    }),

    implement(contract.releaseStock, async ({ orderId, round }) => {
      const lines = await releaseStock(pool, { orderId, round })
      return { orderId, round, state: 'released' as const, lines }
    }),

    implement(contract.commitStock, async ({ orderId, round }) => {
      const lines = await commitStock(pool, { orderId, round })
      return { orderId, round, state: 'committed' as const, lines }
    }),
  ]
}

function stockTools(pool: Pool): Tool[] {
  return [
    implement(contract.getStock, async ({ skus }) => {
      const stock = await findStock(pool, skus)
      return { stock: stock.map(({ sku, name, available }) => ({ sku, name, available })) }
    }),

    implement(contract.findSubstitutes, async ({ sku, quantity }) => {
      const found = await findSubstitutes(pool, [sku])
      const substitutes = found.map((s) => ({
        sku: s.sku,
        name: s.name,
        available: s.available,
        covers: s.available >= quantity,
      }))
      return { sku, substitutes }
    }),

    implement(contract.getRestockDate, async ({ sku }) => {
      const [stock] = await findStock(pool, [sku])
      return { sku, restockDate: stock?.restockDate ?? null }
    }),

    implement(contract.setStock, async (count, { clientId }) =>
      setStock(pool, { ...count, clientId }),
    ),
  ]
}
