/** Whether an answer tells anything of somebody else: customers, orders, notes. */
import type { Customer, GivenAnswer, OrderFact } from './hostile-facts.ts'
import { canaries } from './hostile-orders.ts'
import type { Breach } from './invariants.ts'

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
/** Shorter words, a house's number or a state, say nothing by themselves. */
const tellingMin = 6

/** `customerOf`: the customer whom the order service found for an order, if any. */
export function checkPrivacy(
  answers: readonly GivenAnswer[],
  orders: readonly OrderFact[],
  customers: readonly Customer[],
  customerOf: ReadonlyMap<string, string>,
): Breach[] {
  const orderOf = new Map(orders.map((order) => [order.orderId, order]))
  const secrets = new Map(customers.map((customer) => [customer.id, secretsOf(customer)]))
  return answers.flatMap(({ orderId, body }) => {
    const text = JSON.stringify(body)
    const own = customerOf.get(orderId)
    const request = JSON.stringify(orderOf.get(orderId)?.request ?? {})
    // What the client wrote, and what belongs to its customer, may come back to it.
    const mine = new Set(own === undefined ? [] : secrets.get(own))
    const isForeign = (word: string) => !mine.has(word) && !request.includes(word)
    const told = [
      ...[...secrets.values()].flat().filter((word) => isForeign(word) && text.includes(word)),
      ...(text.match(canaries) ?? []).filter(isForeign),
      ...(text.match(uuids) ?? []).filter((id) => {
        const other = id !== orderId && orderOf.has(id)
        return other && isForeign(id) && (own === undefined || customerOf.get(id) !== own)
      }),
    ]
    return [...new Set(told)].map((word) => ({
      what: 'data of another customer in an answer',
      orderId,
      detail: word,
    }))
  })
}

function secretsOf({ id, name, email, address }: Customer): string[] {
  const words = [id, name, email, address?.street1, address?.street2]
  return words.filter((word) => typeof word === 'string').filter((w) => w.length >= tellingMin)
}
