/** What can be read and watched by URI: one order, and those that are open. */
import type { Pool } from '../../platform/db.ts'
import { missing } from '../../platform/errors.ts'
import { implementResource, type Resource } from '../../platform/resource.ts'
import { activeOrders, orderResource } from './contract.ts'
import { listOrders } from './order-list-store.ts'
import { findNewestRound } from './order-store.ts'

const activeMax = 100

/** Every resource of the service. */
export function orderResources(pool: Pool): Resource[] {
  return [
    implementResource(orderResource, {
      read: async ({ orderId = '' }) => {
        const order = await findNewestRound(pool, orderId)
        if (order === undefined) throw noSuchOrder(`order ${orderId}`)
        return order
      },
    }),

    implementResource(activeOrders, {
      read: async () => {
        const { orders, nextCursor } = await listOrders(pool, { status: 'open', limit: activeMax })
        return { orders, more: nextCursor !== null }
      },
    }),
  ]
}

export const noSuchOrder = (what: string) =>
  missing('no_such_order', `There is no ${what} here`, {
    next: 'Check the id and the round; open_order records an order.',
  })
