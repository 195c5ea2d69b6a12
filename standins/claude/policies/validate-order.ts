/** The order service's agent: is this order plausible, and does its note try to talk to us? */

import { z } from 'zod'
import type { Call, Policy, View } from '../policy.ts'
import { failures, knownValue, openCalls, readFact, reasonList } from '../policy.ts'
import { containsInstructions } from './note-instructions.ts'

/** Generous on purpose: benchmark runs place many orders for one customer. */
const ordersPerDayMax = 100_000

const task = z.object({
  orderId: z.string(),
  customerId: z.string(),
  skus: z.array(z.string()).max(100),
})
const order = z.object({
  lines: z.array(z.object({ sku: z.string(), unitPriceCents: z.number() })),
  note: z.string().nullish(),
})
const customer = z.object({ name: z.string(), status: z.string() })
const product = z.object({ sku: z.string(), priceCents: z.number(), discontinued: z.boolean() })
const recent = z.object({ last24h: z.object({ count: z.number() }) })

type Finding = {
  readonly risk: 'medium' | 'high'
  readonly review: boolean
  readonly reason: string
}

export const validateOrder: Policy = {
  name: 'validate_order',
  tools: ['get_order', 'find_customer', 'get_product', 'recent_orders'],
  verdictFields: ['verdict', 'risk', 'noteContainsInstructions', 'reasons'],

  move(view) {
    const parsed = task.safeParse(view.task)
    if (!parsed.success) return verdict(false, [review('high', 'The task could not be read')])
    const { orderId, customerId } = parsed.data
    const calls = {
      order: { name: 'get_order', input: { orderId } },
      customer: { name: 'find_customer', input: { customerId } },
      recent: { name: 'recent_orders', input: { customerId } },
      products: [...new Set(parsed.data.skus)].map((sku) => ({
        name: 'get_product',
        input: { sku },
      })),
    }
    const open = openCalls(view, [calls.order, calls.customer, ...calls.products, calls.recent])
    if (open.length > 0) {
      return {
        kind: 'call',
        thought: `Reading order ${orderId} and what we know of its customer.`,
        calls: open,
      }
    }
    return judge(view, calls)
  },
}

type Calls = {
  readonly order: Call
  readonly customer: Call
  readonly recent: Call
  readonly products: readonly Call[]
}

function judge(view: View, calls: Calls) {
  const orderFact = readFact(view, calls.order, order)
  const customerFact = readFact(view, calls.customer, customer)
  const recentFact = readFact(view, calls.recent, recent)
  const productFacts = calls.products.map((call) => readFact(view, call, product))
  const findings = failures(orderFact, customerFact, recentFact, ...productFacts).map((why) =>
    review('medium', why),
  )

  const buyer = knownValue(customerFact)
  if (buyer !== undefined && buyer.status.toLowerCase() !== 'active') {
    findings.push(review('high', `The customer is ${buyer.status}`))
  }
  const count = knownValue(recentFact)?.last24h.count ?? 0
  if (count > ordersPerDayMax) findings.push(review('high', `${count} orders in the last 24 hours`))

  const lines = knownValue(orderFact)?.lines ?? []
  for (const fact of productFacts) {
    const known = knownValue(fact)
    if (known === undefined) continue
    if (known.discontinued) findings.push(review('medium', `${known.sku} is discontinued`))
    const line = lines.find(({ sku }) => sku === known.sku)
    if (line !== undefined && line.unitPriceCents !== known.priceCents) {
      findings.push(
        notice(
          `${known.sku} was ordered at ${line.unitPriceCents} cents, it costs ${known.priceCents}`,
        ),
      )
    }
  }

  const instructed = containsInstructions(knownValue(orderFact)?.note ?? null)
  if (instructed) {
    findings.push(
      notice('The note contains instructions to the system; they were read as data only'),
    )
  }
  return verdict(instructed, findings)
}

function verdict(noteContainsInstructions: boolean, findings: readonly Finding[]) {
  const high = findings.some(({ risk }) => risk === 'high')
  const reasons = findings.map(({ reason }) => reason)
  return {
    kind: 'verdict' as const,
    verdict: {
      verdict: findings.some((finding) => finding.review) ? 'review' : 'accept',
      risk: high ? 'high' : findings.length > 0 ? 'medium' : 'low',
      noteContainsInstructions,
      reasons: reasonList(
        reasons.length > 0 ? reasons : ['Customer, products and recent orders look ordinary'],
      ),
    },
  }
}

function review(risk: Finding['risk'], reason: string): Finding {
  return { risk, review: true, reason }
}

function notice(reason: string): Finding {
  return { risk: 'medium', review: false, reason }
}
