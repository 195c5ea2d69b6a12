/** What clients can read and watch by URI: their orders. */
import { implementResource, type Resource, uriOf } from '../platform/resource.ts'
import { buildAnswer } from './answer.ts'
import type { AwaitDeps } from './await-order.ts'
import { assertMayTouch, callerOf } from './caller.ts'
import { activeOrders, orderResource } from './contract.ts'
import { decodeCursor, encodeCursor } from './order-cursor.ts'
import { listOrders, readOrder } from './order-store.ts'

const pageMax = 100

/** Every resource of the orchestrator. */
export function orchestratorResources({ pool, answers }: AwaitDeps): Resource[] {
  return [
    implementResource(activeOrders, {
      read: async (_, { clientId }) => {
        const query = { clientId, status: 'running', before: undefined, limit: pageMax } as const
        return { orders: await listOrders(pool, query) }
      },
    }),

    implementResource(orderResource, {
      read: async ({ orderId = '' }, context) => {
        const row = await readOrder(pool, orderId)
        assertMayTouch(callerOf(context), row, 'orders:read:all')
        return buildAnswer(pool, row, answers)
      },
      list: async (cursor, { clientId }) => {
        const before = cursor === undefined ? undefined : decodeCursor(cursor)
        const query = { clientId, status: undefined, before, limit: pageMax }
        const orders = await listOrders(pool, query)
        const entries = orders.map(({ orderId, status }) => ({
          uri: uriOf(orderResource, { orderId }),
          name: `order ${orderId} (${status})`,
        }))
        const last = orders.length === pageMax ? orders.at(-1) : undefined
        return { entries, next: last === undefined ? undefined : encodeCursor(last) }
      },
    }),
  ]
}
