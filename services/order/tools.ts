/** The handlers behind the contract: what each tool does with its checked input. */
import type { Pool } from '../../platform/db.ts'
import { implement, type Tool } from '../../platform/tool.ts'
import type { OrderAgent } from './agent.ts'
import * as contract from './contract.ts'
import { judge } from './judgement.ts'
import { openOrder, quoteOrder } from './open-order.ts'
import { listOrders } from './order-list-store.ts'
import { findNewestRound, findRound, recordClosed } from './order-store.ts'
import { noSuchOrder } from './resources.ts'

/** Every tool of the service. `limitCents`: an order above it is held for a person. */
export function orderTools(pool: Pool, askAgent: OrderAgent, limitCents: number): Tool[] {
  return [
    implement(contract.openOrder, (request) => openOrder(pool, request, limitCents)),

    implement(contract.quoteOrder, (request) => quoteOrder(pool, request, limitCents)),

    implement(contract.closeOrder, async (closing) => {
      const { orderId, round } = closing
      return { orderId, round, outcome: await recordClosed(pool, closing) }
    }),

    implement(contract.validateOrder, async ({ orderId, round }, { signal }) => {
      const order = await findRound(pool, orderId, round)
      if (order === undefined) throw noSuchOrder(`round ${round} of order ${orderId}`)
      return judge(await askAgent(order, signal), order.noteSuspicious)
    }),

    implement(contract.getOrder, async ({ orderId }) => {
      const order = await findNewestRound(pool, orderId)
      if (order === undefined) throw noSuchOrder(`order ${orderId}`)
      return order
    }),

    implement(contract.findOrders, (query) => listOrders(pool, query)),
  ]
}
