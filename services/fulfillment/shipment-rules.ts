/**
 * The rules of a parcel, without I/O: what it weighs, whether it leaves the country, what stops it.
 * Which of the carrier's offers is taken: offer-rules.ts.
 */
import type { z } from 'zod'
import type { address, Finding, pricedLine } from '../order/contract.ts'
import type { offer, proposeShipment, refundState, serviceLevel } from './contract.ts'

export type Address = z.output<typeof address>
export type PricedLine = z.output<typeof pricedLine>
export type Offer = z.output<typeof offer>
export type ServiceLevel = z.output<typeof serviceLevel>
export type RefundState = z.output<typeof refundState>
export type Proposal = z.output<typeof proposeShipment.output>

/** What decides a parcel: the input of propose_shipment without its key. */
export type ShipmentRequest = Omit<z.output<typeof proposeShipment.input>, 'orderId' | 'round'>

const home = 'US'
/** US export filings: above this value for one commodity, in cents, a filing (AES ITN) is needed. */
const exportFilingCents = 250_000
/** Exports from the US to Canada need no filing at any value (15 CFR 30.36). */
const filingFreeCountries = new Set([home, 'CA'])

/** Grams of the whole parcel: every line and the box. One parcel an order. */
export function parcelWeightGrams(lines: readonly PricedLine[], boxGrams: number): number {
  return lines.reduce((sum, line) => sum + line.weightGrams * line.quantity, boxGrams)
}

/** True when the parcel leaves the US and therefore needs a customs declaration. */
export const isInternational = (shipTo: Pick<Address, 'country'>): boolean =>
  shipTo.country !== home

/** What stops a parcel before any carrier is asked. */
export function findingsBeforeQuote(
  { lines, shipTo }: ShipmentRequest,
  weightGrams: number,
  limitGrams: number,
): Finding[] {
  const findings: Finding[] = []
  if (weightGrams > limitGrams) {
    findings.push({
      code: 'too_heavy',
      outcome: 'held',
      message: `The parcel weighs ${weightGrams} g; one parcel may weigh ${limitGrams} g`,
      next: 'Split the order, or ship it as freight.',
    })
  }
  if (needsExportFiling(lines, shipTo)) {
    findings.push({
      code: 'no_service',
      outcome: 'held',
      message:
        'One commodity is worth over 2,500 USD: it may leave the US with an export filing only',
      next: 'File the export (AES), or split the order.',
    })
  }
  return findings
}

// 15 CFR 30.37(a): the exemption that our declarations claim holds up to 2,500 USD a commodity.
function needsExportFiling(lines: readonly PricedLine[], shipTo: Address): boolean {
  if (filingFreeCountries.has(shipTo.country)) return false
  const centsByCommodity = new Map<string, number>()
  for (const { hsCode, lineTotalCents } of lines) {
    centsByCommodity.set(hsCode, (centsByCommodity.get(hsCode) ?? 0) + lineTotalCents)
  }
  return [...centsByCommodity.values()].some((cents) => cents > exportFilingCents)
}

/** What the carrier's own answers say against the parcel. */
export function findingsOfCarrier(
  check: { readonly deliverable: boolean; readonly problems: readonly string[] },
  offers: readonly Offer[],
  messages: readonly string[],
): Finding[] {
  if (!check.deliverable) {
    return [
      {
        code: 'address_refused',
        outcome: 'held',
        message: `The carrier does not find the address: ${listed(check.problems)}`,
        next: 'Correct the address.',
      },
    ]
  }
  if (offers.length > 0) return []
  return [
    {
      code: 'no_service',
      outcome: 'held',
      message: `The carrier offers no service for this parcel: ${listed(messages)}`,
      next: 'Split the order, or choose another carrier.',
    },
  ]
}

const listed = (texts: readonly string[]): string =>
  texts.length === 0 ? 'it gives no reason' : texts.slice(0, 3).join('; ').slice(0, 300)
