/** A person's change of a held order: the fields that are named, everything else as it was. */
import { z } from 'zod'
import { invalid } from '../platform/errors.ts'
import { canonical, type OrderRequest, parseOrderRequest } from './order-request.ts'

/** The fields of an order that may change; null takes one away. The door checks what is in them. */
export const editFields = {
  lines: z.unknown().optional(),
  shipTo: z.unknown().optional(),
  note: z.unknown().optional(),
  shipBy: z.unknown().optional(),
}
type Edit = Readonly<Partial<Record<keyof typeof editFields, unknown>>>

/**
 * The order as it would be after the change, in normal form.
 *
 * @throws invalid `invalid_order` as at the door, `no_change` when it would be the same.
 */
export function editOrder(request: OrderRequest, edit: Edit): OrderRequest {
  const named = Object.keys(editFields).flatMap((name) => {
    const value = edit[name as keyof Edit]
    return value === undefined ? [] : [[name, value] as const]
  })
  const wanted = { ...request, ...Object.fromEntries(named) }
  // An order without lines is none, and the door says so of the field that was sent.
  const kept = Object.entries(wanted).filter(([name, value]) => value !== null || name === 'lines')
  const changed = parseOrderRequest(Object.fromEntries(kept))
  if (canonical(changed) !== canonical(request)) return changed
  throw invalid('no_change', 'The order would be the same as before', {
    next: 'Name lines, shipTo, note or shipBy as they should be; or approve the order.',
  })
}
