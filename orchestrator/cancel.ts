/** A client's cancel: of a running order it is a wish that its run meets, of a held one its end. */
import { named, toWire } from '../platform/errors.ts'
import { assertMayTouch, type Caller } from './caller.ts'
import { dismiss } from './dismiss.ts'
import type { IntakeDeps } from './intake.ts'
import { type OrderRow, readOrder, requestCancel } from './order-store.ts'
import { endByError } from './workflows/endings.ts'
import { cancelledByClient } from './workflows/order-run.ts'

/**
 * Asks for the cancel and returns the order as it stands then. Repeating it changes nothing.
 *
 * @throws missing `no_such_order`.
 * @throws rejected `too_late`: what has happened is not undone.
 */
export async function cancelOrder(
  deps: IntakeDeps,
  orderId: string,
  caller: Caller,
): Promise<OrderRow> {
  const known = await readOrder(deps.pool, orderId)
  assertMayTouch(caller, known, 'orders:cancel:all')
  const ended = await giveUp(deps, known, caller)
  if (ended !== undefined) return ended
  await requestCancel(deps.pool, orderId)
  return readOrder(deps.pool, orderId)
}

/** Ends a held order; undefined when it is not held, or not any more since it was read. */
async function giveUp(deps: IntakeDeps, known: OrderRow, { clientId }: Caller) {
  if (known.status !== 'held') return undefined
  try {
    return await dismiss(deps, known, { by: clientId }, byClient, 'cancelling')
  } catch (cause) {
    if (named(cause).code === 'not_held') return undefined
    throw cause
  }
}

const byClient = endByError(toWire(cancelledByClient()))
