/** How EasyPost writes times, dates and money, and the mode every object of the stand-in is in. */

const DAY_MS = 86_400_000

/** Always `test`: nothing here is ever for real. */
export const MODE = 'test'

/** `2026-11-20T21:40:00Z`: EasyPost's times have no fractions of seconds. */
export const isoTime = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, 19)}Z`

/** Calendar days, not business days: the same wait on every day of the week. */
export const deliveryDate = (atMs: number, days: number): string =>
  `${new Date(atMs + days * DAY_MS).toISOString().slice(0, 10)}T20:00:00Z`

/** `"7.58"`; fees have five decimals, `"7.58000"`. */
export const usd = (cents: number, decimals = 2): string => (cents / 100).toFixed(decimals)
