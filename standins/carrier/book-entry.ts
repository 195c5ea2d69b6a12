/** The shapes of one shipment: a line in the file, an entry in memory, and what the server works with. */
import { z } from 'zod'
import type { Service } from './rates.ts'
import type { Facts } from './requests.ts'

export type RefundStatus = 'submitted' | 'refunded'

/** One shipment as the rest of the server sees it. Times are milliseconds since 1970. */
export interface Shipment {
  readonly hex: string
  readonly facts: Facts
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly postage: { readonly service: Service; readonly boughtAtMs: number } | undefined
  readonly refundStatus: RefundStatus | null
}

/** One shipment as it waits in memory: compact, zero = not yet. */
export interface Entry {
  readonly hex: string
  readonly factsJson: string
  readonly reference: string | null
  readonly createdAtMs: number
  service: Service | undefined
  boughtAtMs: number
  refundAtMs: number
  settledAtMs: number
}

/** What the file holds: one JSON object a line, one event each. */
export const bookLine = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('created'),
    hex: z.string(),
    atMs: z.int(),
    facts: z.looseObject({}),
  }),
  z.object({ event: z.literal('bought'), hex: z.string(), atMs: z.int(), service: z.string() }),
  z.object({ event: z.literal('refund_submitted'), hex: z.string(), atMs: z.int() }),
  z.object({ event: z.literal('refunded'), hex: z.string(), atMs: z.int() }),
])
export type BookLine = z.input<typeof bookLine>

export function newEntry(
  hex: string,
  createdAtMs: number,
  factsJson: string,
  reference: string | null,
): Entry {
  const never = { service: undefined, boughtAtMs: 0, refundAtMs: 0, settledAtMs: 0 }
  return { hex, factsJson, reference, createdAtMs, ...never }
}

/** A refund is granted by hand or, `delayMs` after it was asked for, by itself. */
export function refundStatusOf(entry: Entry, delayMs: number, nowMs: number): RefundStatus | null {
  if (entry.refundAtMs === 0) return null
  const due = entry.refundAtMs + delayMs <= nowMs
  return entry.settledAtMs > 0 || due ? 'refunded' : 'submitted'
}

/** Unpacks an entry. */
export function shipmentOf(entry: Entry, refundStatus: RefundStatus | null): Shipment {
  const { hex, createdAtMs, boughtAtMs, refundAtMs, settledAtMs, service } = entry
  return {
    hex,
    // Our own text, checked when it came in.
    facts: JSON.parse(entry.factsJson) as Facts,
    createdAtMs,
    updatedAtMs: Math.max(createdAtMs, boughtAtMs, refundAtMs, settledAtMs),
    postage: service && { service, boughtAtMs },
    refundStatus,
  }
}
