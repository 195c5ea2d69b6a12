/** The orchestrator's planning agent: which agents does this order need, and how fast must it go? */

import { z } from 'zod'
import type { Policy } from '../policy.ts'
import { failures, knownValue, openCalls, readFact, reasonList } from '../policy.ts'

const hurryMs = 3 * 24 * 60 * 60 * 1_000

const task = z.object({ orderId: z.string() })
const order = z.object({
  today: z.string().nullish(),
  shipBy: z.string().nullish(),
  findings: z.array(z.object({ code: z.string(), outcome: z.string(), message: z.string() })),
})
const stock = z.object({ short: z.array(z.string()) })

export const plan: Policy = {
  name: 'plan',
  tools: ['get_order_facts', 'get_stock_facts'],
  verdictFields: ['skip', 'serviceLevel', 'sendToPerson', 'reasons'],

  move(view) {
    const parsed = task.safeParse(view.task)
    if (!parsed.success) return standardPlan(['The task could not be read'])
    const { orderId } = parsed.data
    const orderCall = { name: 'get_order_facts', input: { orderId } }
    const stockCall = { name: 'get_stock_facts', input: { orderId } }
    const open = openCalls(view, [orderCall, stockCall])
    if (open.length > 0) {
      return {
        kind: 'call',
        thought: `Reading what code already knows of ${orderId}.`,
        calls: open,
      }
    }

    const orderFact = readFact(view, orderCall, order)
    const stockFact = readFact(view, stockCall, stock)
    const reasons = failures(orderFact, stockFact)
    const facts = knownValue(orderFact)
    const held = (facts?.findings ?? []).filter(({ outcome }) => outcome.toLowerCase() === 'held')
    const short = knownValue(stockFact)?.short ?? []
    const hurry = isSoon(facts?.shipBy, facts?.today)

    reasons.push(...held.map(({ code, message }) => `${code}: ${message}`))
    if (short.length > 0)
      reasons.push(`Short of ${short.join(', ')}: there is no parcel to plan yet`)
    if (hurry) reasons.push(`It should ship by ${facts?.shipBy}, which is within 3 days`)
    if (reasons.length === 0) reasons.push('Nothing unusual: the standard plan')
    return {
      kind: 'verdict',
      verdict: {
        skip: short.length > 0 ? ['propose_shipment'] : [],
        serviceLevel: hurry ? 'fastest' : 'cheapest',
        sendToPerson: held.length > 0,
        reasons: reasonList(reasons),
      },
    }
  },
}

/** Without facts the plan changes nothing: every agent runs and none of them is hurried. */
function standardPlan(reasons: readonly string[]) {
  const verdict = {
    skip: [],
    serviceLevel: 'cheapest',
    sendToPerson: false,
    reasons: reasonList(reasons),
  }
  return { kind: 'verdict' as const, verdict }
}

/** Past dates are soon too. Text that is no date hurries nobody, nor does a day not known. */
function isSoon(shipBy: string | null | undefined, today: string | null | undefined): boolean {
  return Date.parse(shipBy ?? '') - Date.parse(today ?? '') <= hurryMs
}
