/** EasyPost's Address object. */
import { verifications } from './addresses.ts'
import { isoTime, MODE } from './format.ts'
import type { Address } from './requests.ts'

/** `POST /v2/addresses`; `verified` adds the verifications and writes a good address in capitals. */
export function addressView(address: Address, id: string, atMs: number, verified = false) {
  const results = verified ? verifications(address) : undefined
  return {
    id,
    object: 'Address',
    created_at: isoTime(atMs),
    updated_at: isoTime(atMs),
    ...addressFields(results?.delivery.success ? inCapitals(address) : address),
    mode: MODE,
    carrier_facility: null,
    residential: null,
    federal_tax_id: null,
    state_tax_id: null,
    verifications: results ?? {},
  }
}

/** The fields a caller gave, null where it gave none. */
export function addressFields(address: Address) {
  return {
    name: address.name ?? null,
    company: address.company ?? null,
    street1: address.street1 ?? null,
    street2: address.street2 ?? null,
    city: address.city ?? null,
    state: address.state ?? null,
    zip: address.zip ?? null,
    country: address.country,
    phone: address.phone ?? null,
    email: address.email ?? null,
  }
}

function inCapitals(address: Address): Address {
  const capitals = (text: string | undefined) => text?.toUpperCase()
  return {
    ...address,
    name: capitals(address.name),
    company: capitals(address.company),
    street1: capitals(address.street1),
    street2: capitals(address.street2),
    city: capitals(address.city),
    state: capitals(address.state),
    zip: capitals(address.zip),
  }
}
