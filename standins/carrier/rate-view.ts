/** EasyPost's Rate object. */
import type { Shipment } from './book-entry.ts'
import { deliveryDate, isoTime, MODE, usd } from './format.ts'
import { idOf, rateId } from './ids.ts'
import { CARRIER, CARRIER_ACCOUNT, type Offer } from './rates.ts'

/** A rate of a shipment, which can be bought by its id. */
export function rateView(offer: Offer, { hex, createdAtMs }: Shipment, atMs: number) {
  return {
    id: rateId(hex, offer.serviceIndex),
    created_at: isoTime(atMs),
    updated_at: isoTime(atMs),
    ...rateFields(offer, createdAtMs),
    shipment_id: idOf('shp', hex),
  }
}

/** What `POST /beta/rates` tells: a price without an id, so it cannot be bought. */
export function rateFields({ service, priceCents }: Offer, atMs: number) {
  const price = usd(priceCents)
  return {
    object: 'Rate',
    mode: MODE,
    service: service.name,
    carrier: CARRIER,
    rate: price,
    currency: 'USD',
    retail_rate: price,
    retail_currency: 'USD',
    list_rate: price,
    list_currency: 'USD',
    billing_type: 'easypost',
    delivery_days: service.deliveryDays,
    delivery_date: deliveryDate(atMs, service.deliveryDays),
    delivery_date_guaranteed: false,
    est_delivery_days: service.deliveryDays,
    carrier_account_id: CARRIER_ACCOUNT,
  }
}
