/**
 * What the imaginary carrier offers and costs. The price depends on weight and service alone, so the
 * same parcel always costs the same. Weights are ounces, money is US cents.
 */
import type { Facts } from './requests.ts'

/** An honest name: no real company is called so. */
export const CARRIER = 'StandInPost'
export const CARRIER_ACCOUNT = 'ca_standin_standinpost'

/** 30 kg, to one decimal point. Heavier parcels get no rates but a message, as at EasyPost. */
const PARCEL_OUNCES_MAX = 1058.2

export interface Service {
  readonly name: string
  /** One or two letters, large on the label. */
  readonly mark: string
  readonly domestic: boolean
  readonly baseCents: number
  readonly centsPerOunce: number
  readonly deliveryDays: number
}

/** Order matters: rate ids carry the index, so new services go to the end. */
const SERVICES: readonly Service[] = [
  { name: 'Ground', mark: 'G', domestic: true, baseCents: 478, centsPerOunce: 9, deliveryDays: 5 },
  {
    name: 'Priority',
    mark: 'P',
    domestic: true,
    baseCents: 718,
    centsPerOunce: 16,
    deliveryDays: 2,
  },
  {
    name: 'Express',
    mark: 'E',
    domestic: true,
    baseCents: 2625,
    centsPerOunce: 34,
    deliveryDays: 1,
  },
  {
    name: 'InternationalStandard',
    mark: 'IS',
    domestic: false,
    baseCents: 1450,
    centsPerOunce: 42,
    deliveryDays: 12,
  },
  {
    name: 'InternationalExpress',
    mark: 'IE',
    domestic: false,
    baseCents: 4325,
    centsPerOunce: 70,
    deliveryDays: 4,
  },
]

export const serviceNamed = (name: string) => SERVICES.find((service) => service.name === name)

export interface Offer {
  readonly serviceIndex: number
  readonly service: Service
  readonly priceCents: number
}

export const isDomestic = (facts: Facts): boolean => facts.to_address.country === 'US'

/** What the carrier offers for a parcel: nothing when it is too heavy. */
export function offersFor(facts: Facts): Offer[] {
  if (facts.parcel.weight > PARCEL_OUNCES_MAX) return []
  const domestic = isDomestic(facts)
  return SERVICES.map((service, serviceIndex) => ({
    serviceIndex,
    service,
    priceCents: priceCents(service, facts.parcel.weight),
  })).filter(({ service }) => service.domestic === domestic)
}

/** Each ounce begun is paid. */
function priceCents(service: Service, ounces: number): number {
  return service.baseCents + Math.ceil(ounces) * service.centsPerOunce
}

/** Why there are no offers, in the shape of EasyPost's shipment messages. */
export function rateMessages(facts: Facts) {
  if (facts.parcel.weight <= PARCEL_OUNCES_MAX) return []
  return [
    {
      carrier: CARRIER,
      carrier_account_id: CARRIER_ACCOUNT,
      type: 'rate_error',
      message: `The parcel weighs ${facts.parcel.weight} oz; the limit is ${PARCEL_OUNCES_MAX} oz (30 kg).`,
    },
  ]
}
