/**
 * What we tell the carrier about a parcel, as JSON of EasyPost v2: addresses, box, weight, and for
 * parcels abroad the customs declaration. https://docs.easypost.com/guides/customs-guide
 */
import { dollarsOf, inchesOf, ouncesBelow, ouncesOf } from './measures.ts'
import { type Address, isInternational, type PricedLine } from './shipment-rules.ts'

/** Where parcels start, in which box, and who signs for what is in it. */
export interface Warehouse {
  readonly shipFrom: Address
  readonly phone: string
  readonly customsSigner: string
  /** Inner size of the box, whole centimetres. */
  readonly box: {
    readonly lengthCm: number
    readonly widthCm: number
    readonly heightCm: number
  }
}

export interface Parcel {
  readonly shipTo: Address
  readonly lines: readonly PricedLine[]
  readonly weightGrams: number
}

const descriptionCharactersMax = 255
/** Exemptions from a US export filing: to Canada, and up to 2,500 USD a commodity (15 CFR 30). */
const exemptions = { canada: 'NOEEI 30.36', lowValue: 'NOEEI 30.37(a)' } as const

/** The body for rates and shipments. `reference` is ours to read in the carrier's books. */
export function shipmentBody(warehouse: Warehouse, parcel: Parcel, reference?: string): object {
  const { box, shipFrom, phone } = warehouse
  return {
    shipment: {
      to_address: carrierAddress(parcel.shipTo),
      from_address: { ...carrierAddress(shipFrom), phone },
      parcel: {
        length: inchesOf(box.lengthCm),
        width: inchesOf(box.widthCm),
        height: inchesOf(box.heightCm),
        weight: ouncesOf(parcel.weightGrams),
      },
      options: { label_format: 'PDF', label_size: '4x6' },
      ...(isInternational(parcel.shipTo) ? { customs_info: customsInfo(warehouse, parcel) } : {}),
      ...(reference === undefined ? {} : { reference }),
    },
  }
}

export function carrierAddress(address: Address): object {
  return {
    name: address.name,
    street1: address.street1,
    ...(address.street2 === undefined ? {} : { street2: address.street2 }),
    city: address.city,
    ...(address.region === undefined ? {} : { state: address.region }),
    zip: address.postalCode,
    country: address.country,
  }
}

function customsInfo(warehouse: Warehouse, { shipTo, lines }: Parcel): object {
  return {
    contents_type: 'merchandise',
    restriction_type: 'none',
    non_delivery_option: 'return',
    customs_certify: true,
    customs_signer: warehouse.customsSigner,
    eel_pfc: shipTo.country === 'CA' ? exemptions.canada : exemptions.lowValue,
    // Value and weight are those of the whole line, not of one piece.
    customs_items: lines.map((line) => ({
      description: line.name.slice(0, descriptionCharactersMax),
      quantity: line.quantity,
      value: dollarsOf(line.lineTotalCents),
      currency: 'USD',
      weight: ouncesBelow(line.weightGrams * line.quantity),
      hs_tariff_number: line.hsCode,
      origin_country: line.originCountry,
      code: line.sku,
    })),
  }
}
