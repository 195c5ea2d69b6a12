/** The inventory service's agent: is everything there, and what can we offer where it is not? */

import { z } from 'zod'
import type { Fact, Policy, View } from '../policy.ts'
import { failures, knownValue, openCalls, readFact, reasonList } from '../policy.ts'

const line = z.object({ sku: z.string(), quantity: z.number() })
const task = z.object({ orderId: z.string(), lines: z.array(line).max(100) })
const stock = z.object({ stock: z.array(z.object({ sku: z.string(), available: z.number() })) })
const substitutes = z.object({
  substitutes: z.array(z.object({ sku: z.string(), available: z.number(), covers: z.boolean() })),
})
const restock = z.object({ restockDate: z.string().nullish() })

type Line = z.infer<typeof line>
type Offer = {
  readonly sku: string
  readonly available: boolean
  readonly offer: 'none' | 'wait' | 'substitute' | 'part'
  readonly substituteSku: string | null
}

export const checkInventory: Policy = {
  name: 'check_inventory',
  tools: ['get_stock', 'find_substitutes', 'get_restock_date'],
  verdictFields: ['verdict', 'lines', 'reasons'],

  move(view) {
    const parsed = task.safeParse(view.task)
    if (!parsed.success) return verdict('review', [], ['The task could not be read'])
    const { orderId, lines } = parsed.data

    const stockCall = {
      name: 'get_stock',
      input: { skus: [...new Set(lines.map(({ sku }) => sku))] },
    }
    const first = openCalls(view, [stockCall])
    if (first.length > 0) {
      return { kind: 'call', thought: `Looking up stock for order ${orderId}.`, calls: first }
    }
    const stockFact = readFact(view, stockCall, stock)
    if (stockFact.state !== 'known') return withoutStock(lines, stockFact)

    const available = new Map(stockFact.value.stock.map((row) => [row.sku, row.available]))
    const short = lines.filter(({ sku, quantity }) => (available.get(sku) ?? 0) < quantity)
    const second = openCalls(
      view,
      short.flatMap(({ sku, quantity }) => [substituteCall(sku, quantity), restockCall(sku)]),
    )
    if (second.length > 0) {
      const skus = short.map(({ sku }) => sku).join(', ')
      return {
        kind: 'call',
        thought: `Short of ${skus}: looking for something to offer.`,
        calls: second,
      }
    }
    return judge(view, lines, available)
  },
}

function judge(view: View, lines: readonly Line[], available: ReadonlyMap<string, number>) {
  const offers: Offer[] = []
  const reasons: string[] = []
  let doubt = false
  let short = false
  for (const { sku, quantity } of lines) {
    const there = available.get(sku)
    if (there !== undefined && there >= quantity) {
      offers.push({ sku, available: true, offer: 'none', substituteSku: null })
      continue
    }
    short = true
    if (there === undefined) {
      doubt = true
      reasons.push(`The warehouse has no record of ${sku}`)
    }
    const found = readFact(view, substituteCall(sku, quantity), substitutes)
    const date = readFact(view, restockCall(sku), restock)
    const failed = failures(found, date)
    doubt ||= failed.length > 0
    reasons.push(...failed)
    const { offer, reason } = offerFor({ sku, quantity }, there ?? 0, found, date)
    offers.push(offer)
    reasons.push(reason)
  }
  if (reasons.length === 0) reasons.push('Every line is in stock')
  return verdict(doubt ? 'review' : short ? 'short' : 'available', offers, reasons)
}

function offerFor(
  { sku, quantity }: Line,
  there: number,
  found: Fact<z.infer<typeof substitutes>>,
  date: Fact<z.infer<typeof restock>>,
): { readonly offer: Offer; readonly reason: string } {
  const shortage = `${sku}: ${there} of ${quantity} in stock`
  const covering = knownValue(found)?.substitutes.find(({ covers }) => covers)
  if (covering !== undefined) {
    return {
      offer: { sku, available: false, offer: 'substitute', substituteSku: covering.sku },
      reason: `${shortage}; ${covering.sku} could take its place`,
    }
  }
  const restockDate = knownValue(date)?.restockDate ?? null
  const offer = there > 0 && restockDate === null ? 'part' : 'wait'
  const when =
    restockDate === null ? 'no restock date is known' : `more is expected on ${restockDate}`
  return {
    offer: { sku, available: false, offer, substituteSku: null },
    reason: `${shortage}; ${when}`,
  }
}

/** Nothing can be promised without stock figures, so a person should look. */
function withoutStock(lines: readonly Line[], fact: Fact<unknown>) {
  const offers = lines.map(
    ({ sku }): Offer => ({ sku, available: false, offer: 'none', substituteSku: null }),
  )
  const reasons = failures(fact)
  return verdict('review', offers, reasons.length > 0 ? reasons : ['Stock could not be looked up'])
}

function verdict(
  result: 'available' | 'short' | 'review',
  lines: readonly Offer[],
  reasons: readonly string[],
) {
  return {
    kind: 'verdict' as const,
    verdict: { verdict: result, lines, reasons: reasonList(reasons) },
  }
}

function substituteCall(sku: string, quantity: number) {
  return { name: 'find_substitutes', input: { sku, quantity } }
}

function restockCall(sku: string) {
  return { name: 'get_restock_date', input: { sku } }
}
