/**
 * What the carrier answers, checked and put into our words. EasyPost v2: field names, nulls and
 * decimal strings follow https://docs.easypost.com/docs/shipments and recorded answers.
 */
import { z } from 'zod'
import { unavailable } from '../../platform/errors.ts'
import { centsOf } from './measures.ts'
import type { CarrierRate } from './offer-rules.ts'
import type { RefundState } from './shipment-rules.ts'

const rate = z.object({
  /** Absent in stateless rates. */
  id: z.string().nullish(),
  carrier: z.string(),
  service: z.string(),
  rate: z.string(),
  currency: z.string().nullish(),
  delivery_days: z.number().nullish(),
  est_delivery_days: z.number().nullish(),
  delivery_date: z.string().nullish(),
})
const messages = z
  .array(z.object({ carrier: z.string().nullish(), message: z.unknown() }))
  .nullish()
  .transform((list) =>
    (list ?? []).map(({ carrier, message }) => `${carrier ?? 'carrier'}: ${String(message)}`),
  )

const rates = z.array(rate).transform((list) => list.flatMap(readRate))

/** `POST /beta/rates`: prices without ids, and why some carriers give none. */
export const quote = z.object({ rates, messages })
export type Quote = z.output<typeof quote>

const verification = z.object({
  success: z.boolean(),
  errors: z.array(z.object({ message: z.string() })).catch([]),
})

/** `POST /v2/addresses` with `verify`. */
export const verifiedAddress = z
  .object({ verifications: z.object({ delivery: verification.optional() }) })
  .transform(({ verifications: { delivery } }): AddressCheck => {
    // No result at all: the country has no verification, which is no objection.
    if (delivery === undefined) return { deliverable: true, problems: [] }
    const problems = delivery.errors.map(({ message }) => message)
    return { deliverable: delivery.success, problems: [...new Set(problems)] }
  })

export interface AddressCheck {
  readonly deliverable: boolean
  readonly problems: readonly string[]
}

const shipment = z.object({
  id: z.string().min(1),
  rates,
  selected_rate: rate.nullish(),
  tracking_code: z.string().nullish(),
  postage_label: z
    .object({ label_url: z.string().nullish(), label_pdf_url: z.string().nullish() })
    .nullish(),
  refund_status: z.string().nullish(),
})

/** A shipment as the carrier keeps it: `GET /v2/shipments/:id` and every write to it. */
export const carrierShipment = shipment.transform(
  (given): CarrierShipment => ({
    id: given.id,
    rates: given.rates,
    postage: readPostage(given),
    refund: refundOf(given.refund_status),
  }),
)

export interface CarrierShipment {
  readonly id: string
  readonly rates: readonly CarrierRate[]
  /** Undefined until it is bought. */
  readonly postage: Postage | undefined
  readonly refund: RefundState
}

/** Bought postage: what was paid for, and where its label is. */
export interface Postage {
  readonly rateId: string
  readonly costCents: number
  readonly trackingNumber: string
  readonly labelUrl: string
}

/** Offers in other currencies, or at a price that is no number, are no offers to us. */
function readRate(given: z.output<typeof rate>): CarrierRate[] {
  const priceCents = centsOf(given.rate)
  if (priceCents === undefined || (given.currency ?? 'USD') !== 'USD') return []
  const days = given.delivery_days ?? given.est_delivery_days ?? null
  return [
    {
      id: given.id ?? null,
      carrier: given.carrier,
      service: given.service,
      priceCents,
      deliveryDays: days === null ? null : Math.ceil(days),
      deliveryDate: given.delivery_date ?? null,
    },
  ]
}

/** @throws unavailable `carrier_unavailable` when postage was bought but its label is not there yet. */
function readPostage(given: z.output<typeof shipment>): Postage | undefined {
  const { selected_rate: selected, tracking_code: trackingNumber, postage_label: label } = given
  if (!label && !trackingNumber) return undefined
  const labelUrl = label?.label_pdf_url ?? label?.label_url
  const costCents = selected ? centsOf(selected.rate) : undefined
  if (!selected?.id || costCents === undefined || !trackingNumber || !labelUrl) {
    throw unavailable('carrier_unavailable', 'The carrier has not finished the label yet', {
      next: 'Try again in a few seconds.',
    })
  }
  return { rateId: selected.id, costCents, trackingNumber, labelUrl }
}

/** `not_applicable` (carriers that bill on scan) and `rejected` both give no money back. */
function refundOf(status: string | null | undefined): RefundState {
  if (!status) return 'none'
  if (status === 'submitted') return 'requested'
  return status === 'refunded' ? 'refunded' : 'refused'
}
