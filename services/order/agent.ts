/**
 * The order service's agent: reads one order, its customer and its products through four tools and
 * says whether a person should look at it. It sees no street, no e-mail and no other customer.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { runAgent } from '../../platform/agent.ts'
import {
  type AgentDeps,
  type AgentRun,
  type AgentSettings,
  type AgentTool,
  agentTool,
  isRefusal,
} from '../../platform/agent-types.ts'
import { anyCase } from '../../platform/any-case.ts'
import type { Db } from '../../platform/db.ts'
import { denied, missing } from '../../platform/errors.ts'
import { findCustomer, findProducts } from './catalogue-store.ts'
import { findRecentOrders } from './order-list-store.ts'
import type { Product } from './order-rules.ts'
import type { StoredOrder } from './order-store.ts'

/** Reasons may be longer than asked for: they are clipped, not refused. */
export const orderVerdict = z.object({
  verdict: anyCase(['accept', 'review']),
  risk: anyCase(['low', 'medium', 'high']),
  noteContainsInstructions: z.boolean(),
  reasons: z.array(z.string()).describe('At most 8, each at most 300 characters'),
})
export type OrderVerdict = z.output<typeof orderVerdict>

/** Never throws for what the model does: without a verdict, rules decide. */
export type OrderAgent = (
  order: StoredOrder,
  signal: AbortSignal,
) => Promise<AgentRun<OrderVerdict>>

// Tools and prompt are the cached prefix of every request: the same bytes each time.
const prompt = readFileSync(new URL('./validate-order.prompt.xml', import.meta.url), 'utf8')
const getOrderInput = z.object({ orderId: z.string().describe('The orderId of the task') })
const customerInput = z.object({ customerId: z.string().describe('The customerId of the task') })
const getProductInput = z.object({ sku: z.string().describe('One of the skus of the task') })

export function createOrderAgent(
  deps: AgentDeps & { db: Db },
  settings: AgentSettings,
): OrderAgent {
  const spec = {
    ...{ name: 'validate_order', prompt, verdict: orderVerdict },
    ...{ ...settings, holdsWithout: isRefusal },
  }
  return (order, signal) => {
    const { orderId, round, customerId } = order
    const task = { orderId, round, customerId, skus: order.lines.map((line) => line.sku) }
    return runAgent(deps, spec, validationTools(deps.db, order), task, signal)
  }
}

/** What the model may ask: this order, its customer, its products. Nothing else has an answer. */
function validationTools(db: Db, order: StoredOrder): AgentTool[] {
  return [
    agentTool({
      name: 'get_order',
      description:
        'Read the order as it was recorded: lines with the prices of that moment, total, where it ' +
        'goes, and the note in the customer’s own words. Money is in US cents.',
      input: getOrderInput,
      run: async ({ orderId }) => {
        assertInOrder(orderId === order.orderId, 'orderId')
        return describeOrder(order)
      },
    }),
    ...customerTools(db, order),
    productTool(db, order),
  ]
}

function customerTools(db: Db, { orderId, customerId: ownId }: StoredOrder): AgentTool[] {
  return [
    agentTool({
      name: 'find_customer',
      description:
        'Read who ordered: name, status, country of the address on file (null when there is none) ' +
        'and the day since when they are a customer.',
      input: customerInput,
      run: async ({ customerId }) => {
        assertInOrder(customerId === ownId, 'customerId')
        const customer = await findCustomer(db, customerId)
        if (customer === undefined) throw missing('no_such_customer', 'The customer is gone')
        const { name, status, address, customerSince } = customer
        return { customerId, name, status, country: address?.country ?? null, customerSince }
      },
    }),

    agentTool({
      name: 'recent_orders',
      description:
        'Read what else the customer ordered: the newest ten other orders, and how many were ' +
        'opened within the last 24 hours (counted up to 1,000) with their total in US cents. This ' +
        'order is not counted.',
      input: customerInput,
      run: async ({ customerId }) => {
        assertInOrder(customerId === ownId, 'customerId')
        const { orders, last24h } = await findRecentOrders(db, customerId, orderId)
        return {
          // No ids: whoever sent this order need not be who sent those, and reads the agent's words.
          orders: orders.map(({ totalCents, status, openedAt }) => {
            return { totalCents, status, openedAt }
          }),
          last24h,
        }
      },
    }),
  ]
}

function productTool(db: Db, order: StoredOrder): AgentTool {
  const skus = order.lines.map((line) => line.sku)
  // The model asks for all products at once: one query answers them all.
  let products: Promise<ReadonlyMap<string, Product>> | undefined
  return agentTool({
    name: 'get_product',
    description:
      'Read what the catalogue says of one sku today: name, price in US cents, weight, and whether ' +
      'it is still sold.',
    input: getProductInput,
    run: async ({ sku }) => {
      assertInOrder(skus.includes(sku), 'sku')
      products ??= findProducts(db, skus)
      const product = (await products).get(sku)
      if (product === undefined) throw missing('no_such_product', 'The catalogue has it no more')
      const { name, priceCents, weightGrams, discontinued } = product
      return { sku, name, priceCents, weightGrams, discontinued }
    },
  })
}

/** The order without what a judgement does not need: no street, no recipient. */
function describeOrder(order: StoredOrder): object {
  const { orderId, round, customerId, totalCents, currency, shipTo, shipBy, note } = order
  return {
    orderId,
    round,
    customerId,
    lines: order.lines.map(({ sku, name, quantity, unitPriceCents, lineTotalCents }) => {
      return { sku, name, quantity, unitPriceCents, lineTotalCents }
    }),
    totalCents,
    currency,
    shipTo: shipTo && {
      city: shipTo.city,
      region: shipTo.region ?? null,
      postalCode: shipTo.postalCode,
      country: shipTo.country,
    },
    shipBy,
    note,
  }
}

function assertInOrder(isInOrder: boolean, field: string): void {
  if (isInOrder) return
  throw denied('not_in_order', `This ${field} does not belong to the order of the task`, {
    next: 'Ask for the ids of the task only.',
  })
}
