/**
 * Between our units and the carrier's: grams and ounces, centimetres and inches, cents and decimal
 * dollars. Integers all the way; the last division only writes one decimal down.
 */

/** One ounce is 28.349523125 g, by definition. */
const nanogramsPerOunce = 28_349_523_125n
/** One inch is 2.54 cm, by definition. */
const micrometresPerInch = 25_400n
/** The carrier takes one decimal and refuses 0. */
const tenthsMin = 1n

/** Ounces to one decimal, the nearest: what a whole parcel weighs. */
export function ouncesOf(grams: number): number {
  return tenths(nearest(BigInt(grams) * 10_000_000_000n, nanogramsPerOunce))
}

/**
 * Ounces to one decimal, rounded down: what one customs item weighs. Items rounded to the nearest
 * could add up to more than their parcel, which carriers refuse.
 */
export function ouncesBelow(grams: number): number {
  return tenths((BigInt(grams) * 10_000_000_000n) / nanogramsPerOunce)
}

/** Inches to one decimal, the nearest. `centimetres` is a whole number. */
export function inchesOf(centimetres: number): number {
  return tenths(nearest(BigInt(centimetres) * 100_000n, micrometresPerInch))
}

const nearest = (numerator: bigint, denominator: bigint): bigint =>
  (2n * numerator + denominator) / (2n * denominator)

const tenths = (value: bigint): number => Number(value < tenthsMin ? tenthsMin : value) / 10

const decimalPattern = /^(\d{1,9})(?:\.(\d{1,8}))?$/

/**
 * Cents of a decimal price such as `7.15`; undefined when it is none. Exact to the cent; a fraction
 * of a cent counts as a whole one, so that a cost is never understated.
 */
export function centsOf(price: string): number | undefined {
  const [, dollars, fraction = ''] = decimalPattern.exec(price) ?? []
  if (dollars === undefined) return undefined
  const cents = Number(dollars) * 100 + Number(fraction.slice(0, 2).padEnd(2, '0'))
  return /[1-9]/.test(fraction.slice(2)) ? cents + 1 : cents
}

/** A decimal price of whole cents: 715 is `7.15`. */
export function dollarsOf(cents: number): string {
  const digits = String(cents).padStart(3, '0')
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`
}
