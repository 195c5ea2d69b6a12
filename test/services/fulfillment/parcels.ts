/** Parcels, a warehouse and a carrier's client for the tests of the fulfillment service. */
import {
  type CarrierClient,
  createCarrierClient,
} from '../../../services/fulfillment/carrier-client.ts'
import type { Warehouse } from '../../../services/fulfillment/carrier-request.ts'
import type {
  Address,
  Offer,
  PricedLine,
  ShipmentRequest,
} from '../../../services/fulfillment/shipment-rules.ts'
import { testCarrierKey } from '../../support/test-carrier.ts'

export const home: Address = {
  name: 'John Doe',
  street1: '12 Elm Street',
  city: 'Springfield',
  region: 'IL',
  postalCode: '62701',
  country: 'US',
}
export const abroad: Address = {
  name: 'Erika Mustermann',
  street1: 'Heidestraße 17',
  city: 'Köln',
  postalCode: '51147',
  country: 'DE',
}
export const warehouse: Warehouse = {
  shipFrom: { ...home, name: 'Warehouse', city: 'Columbus', region: 'OH', postalCode: '43215' },
  phone: '6145550100',
  customsSigner: 'Jane Roe',
  box: { lengthCm: 40, widthCm: 30, heightCm: 20 },
}

/** A line of mugs at 18.99 USD and 350 g each. */
export function line(quantity: number, more: Partial<PricedLine> = {}): PricedLine {
  const unitPriceCents = more.unitPriceCents ?? 1_899
  return {
    sku: 'ABC123',
    name: 'Ceramic mug',
    quantity,
    unitPriceCents,
    lineTotalCents: unitPriceCents * quantity,
    weightGrams: 350,
    hsCode: '6912.00',
    originCountry: 'PT',
    ...more,
  }
}

/** Five mugs to Springfield, as cheaply as possible. */
export const request = (more: Partial<ShipmentRequest> = {}): ShipmentRequest => ({
  lines: [line(5)],
  shipTo: home,
  shipBy: null,
  serviceLevel: 'cheapest',
  ...more,
})

export const offer = (service: string, priceCents: number, more: Partial<Offer> = {}): Offer => ({
  carrier: 'StandInPost',
  service,
  priceCents,
  currency: 'USD',
  deliveryDays: null,
  deliveryDate: null,
  meetsShipBy: null,
  ...more,
})

/** A client that retries at once and gives up soon. */
export const carrierAt = (url: string, timeoutMs = 2_000): CarrierClient =>
  createCarrierClient({
    labelOrigins: [],
    url,
    apiKey: testCarrierKey,
    warehouse,
    timeoutMs,
    retry: { attemptsMax: 3, backoffMinMs: 1, backoffMaxMs: 2 },
  })
