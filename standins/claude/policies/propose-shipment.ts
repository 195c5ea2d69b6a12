/** The fulfillment service's agent: which carrier and service should take this parcel? */

import { z } from 'zod'
import type { Policy } from '../policy.ts'
import { failures, knownValue, openCalls, readFact, reasonList } from '../policy.ts'

const task = z.object({ orderId: z.string() })
const address = z.object({ deliverable: z.boolean(), problems: z.array(z.string()).default([]) })
const offer = z.object({
  carrier: z.string(),
  service: z.string(),
  priceCents: z.number(),
  deliveryDays: z.number().nullish(),
  meetsShipBy: z.boolean().nullish(),
})
const quotes = z.object({
  shipBy: z.string().nullish(),
  serviceLevel: z.string(),
  offers: z.array(offer),
})

type Offer = z.infer<typeof offer>

export const proposeShipment: Policy = {
  name: 'propose_shipment',
  tools: ['check_address', 'quote_rates'],
  verdictFields: ['verdict', 'carrier', 'service', 'reasons'],

  move(view) {
    const parsed = task.safeParse(view.task)
    if (!parsed.success) return review(['The task could not be read'])
    const { orderId } = parsed.data
    const addressCall = { name: 'check_address', input: { orderId } }
    const quotesCall = { name: 'quote_rates', input: { orderId } }
    const open = openCalls(view, [addressCall, quotesCall])
    if (open.length > 0) {
      return {
        kind: 'call',
        thought: `Checking the address and asking for rates for ${orderId}.`,
        calls: open,
      }
    }

    const addressFact = readFact(view, addressCall, address)
    const quotesFact = readFact(view, quotesCall, quotes)
    const failed = failures(addressFact, quotesFact)
    if (failed.length > 0) return review(failed)
    const place = knownValue(addressFact)
    if (place !== undefined && !place.deliverable) {
      return review(['The address is not deliverable', ...place.problems])
    }
    const quoted = knownValue(quotesFact)
    if (quoted === undefined) return review(['No rates could be asked for'])
    return choose(quoted)
  },
}

/** The cheapest offer in time; the fastest when that was asked for, or when none is in time. */
function choose({ shipBy, serviceLevel, offers }: z.infer<typeof quotes>) {
  const fastest = offers.toSorted(bySpeed)[0]
  if (fastest === undefined) return review(['No carrier offers a service for this parcel'])
  if (serviceLevel.toLowerCase() === 'fastest') {
    return propose(fastest, 'the fastest service, as asked')
  }
  const inTime = offers.filter(({ meetsShipBy }) => shipBy == null || meetsShipBy === true)
  const cheapest = inTime.toSorted(byPrice)[0]
  if (cheapest === undefined)
    return propose(fastest, `none arrives by ${shipBy}, this is the fastest`)
  return propose(
    cheapest,
    shipBy == null ? 'the cheapest service' : `the cheapest that meets ${shipBy}`,
  )
}

function propose({ carrier, service, priceCents }: Offer, why: string) {
  const reasons = reasonList([
    `${carrier} ${service} for ${(priceCents / 100).toFixed(2)} USD: ${why}`,
  ])
  return { kind: 'verdict' as const, verdict: { verdict: 'propose', carrier, service, reasons } }
}

function review(reasons: readonly string[]) {
  return {
    kind: 'verdict' as const,
    verdict: { verdict: 'review', carrier: null, service: null, reasons: reasonList(reasons) },
  }
}

function byPrice(a: Offer, b: Offer): number {
  return a.priceCents - b.priceCents || daysOf(a) - daysOf(b)
}

function bySpeed(a: Offer, b: Offer): number {
  return daysOf(a) - daysOf(b) || a.priceCents - b.priceCents
}

/** An offer without a promise counts as slower than any promise. */
function daysOf({ deliveryDays }: Offer): number {
  return deliveryDays ?? 1_000
}
