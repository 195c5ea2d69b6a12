/**
 * Address verification by three plain rules: a country must be an ISO 3166 code, and a US address
 * needs street, city and zip. Nothing is looked up, so the same address always gets the same result.
 */
import { type FieldError, unprocessable } from './errors.ts'
import type { Address } from './requests.ts'

const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
// Names of regions that are no countries, and codes that alias one.
const notCountries = new Set(['EU', 'EZ', 'QO', 'UK', 'UN', 'XA', 'XB', 'ZZ'])

/** Streets with this word are refused when postage is bought, so that callers can test a refusal. */
const REFUSED_STREET = /REFUSED/i

/** The English name of a two-letter country; undefined when it is no ISO 3166 code. */
export function countryName(code: string): string | undefined {
  return /^[A-Z]{2}$/.test(code) && !notCountries.has(code) ? regionNames.of(code) : undefined
}

export const isRefusedAtDoor = (address: Address): boolean =>
  REFUSED_STREET.test(`${address.street1 ?? ''} ${address.street2 ?? ''}`)

/** Everything that keeps a parcel from this address; empty = deliverable. */
function addressProblems(address: Address): FieldError[] {
  if (countryName(address.country) === undefined) {
    return [problem('E.COUNTRY.UNSUPPORTED', 'country', 'Country is not an ISO 3166 code')]
  }
  if (address.country !== 'US') return []
  const problems: FieldError[] = []
  if (!address.street1) problems.push(problem('E.STREET.MISSING', 'street1', 'Street is missing'))
  if (!address.city) problems.push(problem('E.CITY.INVALID', 'city', 'City is missing'))
  if (!address.zip) problems.push(problem('E.ZIP.INVALID', 'zip', 'Zip is missing'))
  if (problems.length > 0) {
    problems.unshift(problem('E.ADDRESS.NOT_FOUND', 'address', 'Address not found'))
  }
  return problems
}

/** EasyPost's `verifications`; `zip4` exists for US addresses only. */
export function verifications(address: Address) {
  const errors = addressProblems(address)
  const success = errors.length === 0
  // No coordinates: the stand-in knows none, and made-up ones would look real.
  const details = success ? { latitude: null, longitude: null, time_zone: null } : {}
  const delivery = { success, errors, details }
  return address.country === 'US'
    ? { zip4: { success, errors, details: null }, delivery }
    : { delivery }
}

/**
 * Refuses an address that cannot be delivered to, as `verify_strict` and `create_and_verify` do.
 *
 * @throws CarrierError 422 ADDRESS.VERIFY.FAILURE
 */
export function assertDeliverable(address: Address): void {
  const errors = addressProblems(address)
  if (errors.length > 0) {
    throw unprocessable('ADDRESS.VERIFY.FAILURE', 'Unable to verify address.', errors)
  }
}

function problem(code: string, field: string, message: string): FieldError {
  return { code, field, message, suggestion: null }
}
