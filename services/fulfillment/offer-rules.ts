/**
 * The rules of choosing and buying, without I/O: which offer is taken and which rate is bought. An
 * agent may choose among the offers; these rules check its choice and choose where it gives none.
 */
import { rejected } from '../../platform/errors.ts'
import type { Finding } from '../order/contract.ts'
import type { Offer, ServiceLevel } from './shipment-rules.ts'

/** A price that the carrier quotes or sells at; `id` is null in a quote. */
export interface CarrierRate {
  readonly id: string | null
  readonly carrier: string
  readonly service: string
  readonly priceCents: number
  readonly deliveryDays: number | null
  readonly deliveryDate: string | null
}

/** An offer as callers and agents see it: a rate, and whether it arrives by `shipBy`. */
export function offerOf(rate: CarrierRate, shipBy: string | null, today: Date): Offer {
  const { carrier, service, priceCents, deliveryDays, deliveryDate } = rate
  const meets = meetsShipBy(rate, shipBy, today)
  return {
    carrier,
    service,
    priceCents,
    currency: 'USD',
    deliveryDays,
    deliveryDate,
    meetsShipBy: meets,
  }
}

/**
 * Whether a rate delivers on or before `shipBy` (a date); null without a date or a promise. Carriers
 * that name days instead of a date count business days, so weekends are skipped.
 */
export function meetsShipBy(
  { deliveryDate, deliveryDays }: Pick<CarrierRate, 'deliveryDate' | 'deliveryDays'>,
  shipBy: string | null,
  today: Date,
): boolean | null {
  if (shipBy === null) return null
  if (deliveryDate !== null) return deliveryDate.slice(0, 10) <= shipBy
  if (deliveryDays === null) return null
  return afterBusinessDays(today, deliveryDays) <= shipBy
}

function afterBusinessDays(from: Date, days: number): string {
  const date = new Date(from)
  for (let left = days; left > 0; ) {
    date.setUTCDate(date.getUTCDate() + 1)
    if (date.getUTCDay() !== 0 && date.getUTCDay() !== 6) left -= 1
  }
  return date.toISOString().slice(0, 10)
}

/** A chosen offer and why; `why` is empty when an agent's own reasons say it all. */
export interface Choice {
  readonly offer: Offer
  readonly why: string[]
}

/**
 * The rules' choice: the cheapest offer that meets the date; the fastest when the level says so or
 * when none meets it. `offers` must not be empty.
 */
export function chooseByRules(
  offers: readonly Offer[],
  shipBy: string | null,
  level: ServiceLevel,
): Choice {
  if (level === 'fastest') return { offer: first(offers, bySpeed), why: ['Rules: the fastest.'] }
  if (shipBy === null) return { offer: first(offers, byPrice), why: ['Rules: the cheapest.'] }
  const inTime = offers.filter((offer) => offer.meetsShipBy === true)
  if (inTime.length > 0) {
    return { offer: first(inTime, byPrice), why: [`Rules: the cheapest that meets ${shipBy}.`] }
  }
  const why = [`Rules: no service is known to meet ${shipBy}, so the fastest.`]
  return { offer: first(offers, bySpeed), why }
}

/**
 * The offer that an agent named, or the rules' choice with the reason when it named none, an unknown
 * one, or one that misses a date which another service meets.
 */
export function checkChoice(
  named: { readonly carrier: string | null; readonly service: string | null },
  offers: readonly Offer[],
  shipBy: string | null,
  level: ServiceLevel,
): Choice {
  const rules = chooseByRules(offers, shipBy, level)
  const { carrier, service } = named
  const instead = (why: string): Choice => ({ offer: rules.offer, why: [why, ...rules.why] })
  if (carrier === null || service === null) return instead('The agent named no service.')
  // Not even structured output promises the case of a word.
  const chosen = offers.find(
    (offer) => same(offer.carrier, carrier) && same(offer.service, service),
  )
  if (chosen === undefined) return instead('The agent named a service that is not offered.')
  if (rules.offer.meetsShipBy === true && chosen.meetsShipBy !== true) {
    return instead(`The agent named a service that misses ${shipBy}.`)
  }
  return { offer: chosen, why: [] }
}

/** The offer that a person approved, if it costs no more than approved; else what stands against it. */
export function takePinned(
  offers: readonly Offer[],
  pinned: { readonly carrier: string; readonly service: string; readonly priceCents: number },
): { proposal: Offer | null; findings: Finding[]; reasons: string[] } {
  const { carrier, service, priceCents } = pinned
  const [offer] = offers
    .filter((o) => o.carrier === carrier && o.service === service && o.priceCents <= priceCents)
    .toSorted(byPrice)
  if (offer !== undefined) {
    return { proposal: offer, findings: [], reasons: ['As a person approved it.'] }
  }
  const changed: Finding = {
    code: 'rate_changed',
    outcome: 'held',
    message: `${carrier} ${service} is not offered any more at the approved price`,
    next: 'Read the order again and approve what it shows now.',
  }
  return { proposal: null, findings: [changed], reasons: [] }
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

type Order = (a: Offer, b: Offer) => number
const byPrice: Order = (a, b) => a.priceCents - b.priceCents || speed(a) - speed(b)
const bySpeed: Order = (a, b) => speed(a) - speed(b) || a.priceCents - b.priceCents

/** Days until delivery, for comparing; without a promise last. */
function speed({ deliveryDays, deliveryDate }: Offer): number {
  if (deliveryDays !== null) return deliveryDays
  return deliveryDate === null ? Number.MAX_SAFE_INTEGER : Number.MAX_SAFE_INTEGER - 1
}

function first(offers: readonly Offer[], order: Order): Offer {
  const [best] = offers.toSorted(order)
  if (best === undefined) throw new Error('there is no offer to choose from')
  return best
}

/**
 * The rate to buy: exactly the stored carrier and service, at no more than the stored price.
 *
 * @throws rejected `no_service` when it is offered no more, `rate_changed` when it costs more now.
 */
export function rateToBuy(
  rates: readonly CarrierRate[],
  stored: { readonly carrier: string; readonly service: string; readonly priceCents: number },
): string {
  const { carrier, service, priceCents } = stored
  // Two accounts with one carrier may offer one service at two prices.
  const [rate] = rates
    .filter((r) => r.carrier === carrier && r.service === service)
    .toSorted((a, b) => a.priceCents - b.priceCents)
  if (rate === undefined || rate.id === null) {
    throw rejected('no_service', `${carrier} ${service} is not offered any more`, {
      next: 'Start a new round with a new proposal.',
    })
  }
  if (rate.priceCents > priceCents) {
    throw rejected('rate_changed', `${carrier} ${service} costs more than was proposed`, {
      next: 'Start a new round with a new proposal.',
      details: { proposedCents: priceCents, offeredCents: rate.priceCents },
    })
  }
  return rate.id
}
