/** Opening a round: look up what the request names, check it against the rules, record both. */
import { createHash } from 'node:crypto'
import type { Pool } from '../../platform/db.ts'
import { findFacts } from './catalogue-store.ts'
import { looksLikeInstructions } from './note-screen.ts'
import { assessOrder, mergeLines, type OrderRequest } from './order-rules.ts'
import { type OpenedOrder, recordOpened } from './order-store.ts'

/**
 * Opens a round in two round trips to the database; a repeat takes a third and returns what the
 * first call recorded, at the prices of that time. `limitCents`: above it a person decides.
 *
 * @throws rejected `order_closed`, `order_changed`.
 */
export async function openOrder(
  pool: Pool,
  request: OrderRequest,
  limitCents: number,
): Promise<OpenedOrder> {
  return recordOpened(pool, await quoteOrder(pool, request, limitCents), hashContent(request))
}

/** What opening this round would record now: prices, address, findings. Reads only. */
export async function quoteOrder(
  pool: Pool,
  request: OrderRequest,
  limitCents: number,
): Promise<OpenedOrder> {
  const skus = [...new Set(request.lines.map((line) => line.sku))]
  const facts = await findFacts(pool, request.customer, skus)
  const { customer, lines, totalCents, shipTo, findings } = assessOrder(request, facts, limitCents)
  const note = request.note?.trim() ? request.note : null
  return {
    orderId: request.orderId,
    round: request.round,
    customerId: customer?.id ?? null,
    customerStatus: customer?.status ?? null,
    lines: [...lines],
    totalCents,
    currency: 'USD',
    shipTo,
    shipBy: request.shipBy ?? null,
    note,
    noteSuspicious: note !== null && looksLikeInstructions(note),
    findings: [...findings],
  }
}

/**
 * A fingerprint of what was ordered: equal for a repeat, different for any other content under the
 * same key. Lines count merged and in any order.
 */
export function hashContent({ customer, lines, shipTo, note, shipBy }: OrderRequest): string {
  const content = {
    customer: sortedEntries(customer),
    lines: mergeLines(lines)
      .map(({ sku, quantity }) => [sku, quantity])
      .sort(),
    shipTo: shipTo === undefined ? null : sortedEntries(shipTo),
    note: note ?? null,
    shipBy: shipBy ?? null,
  }
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}

const sortedEntries = (fields: object) =>
  Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
