/**
 * Undoing a label: the row is voided first, so that nothing new is bought, then whatever the carrier
 * has sold is sent back. A purchase under way is waited for: were it overlooked, nobody would ever
 * ask for its money.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Pool } from '../../platform/db.ts'
import { named, unavailable } from '../../platform/errors.ts'
import type { CarrierClient } from './carrier-client.ts'
import { markVoided, readShipment, recordRefund } from './label-store.ts'
import type { ShipmentKey } from './proposal-store.ts'
import type { RefundState } from './shipment-rules.ts'

export interface LabelDeps {
  readonly pool: Pool
  readonly carrier: CarrierClient
  /** The longest that one purchase can take at the carrier, milliseconds. */
  readonly purchaseMs: number
  /** How long an undo waits for a purchase under way, milliseconds. */
  readonly voidWaitMs: number
}

const waitPollMs = 50

/**
 * Voids a shipment for good and asks for the money back if a label was bought, known to us or not;
 * returns how the refund stands. A repeat reads it again.
 *
 * @throws unavailable `purchase_under_way` while it is unclear whether a label is being bought. The
 * shipment is voided all the same, so nothing new is bought meanwhile.
 */
export async function undoLabel(deps: LabelDeps, key: ShipmentKey): Promise<RefundState> {
  const { carrierShipmentId, buyUnderWay, refund } = await markVoided(deps.pool, key)
  if (carrierShipmentId === null || refund === 'refunded') return refund
  const seen = await settleRefund(deps, key, carrierShipmentId)
  if (seen !== 'none' || !buyUnderWay) return seen
  const ended = await purchaseEnded(deps, key)
  const after = await settleRefund(deps, key, carrierShipmentId)
  if (after !== 'none' || ended) return after
  throw unavailable('purchase_under_way', 'A purchase of this label may still be under way', {
    next: 'Try again in a few seconds: nothing new is bought meanwhile.',
  })
}

/** Waits until no purchase is under way; false when the time is up before. */
async function purchaseEnded({ pool, voidWaitMs }: LabelDeps, key: ShipmentKey): Promise<boolean> {
  const until = Date.now() + voidWaitMs
  for (;;) {
    const row = await readShipment(pool, key)
    if (row?.buyUnderWay !== true) return true
    if (Date.now() >= until) return false
    await delay(waitPollMs)
  }
}

/**
 * Brings the refund of a voided shipment forward: nothing for an unbought one, a request for a
 * bought one, and what the carrier says of a request. Records the label with it.
 */
export async function settleRefund(
  { pool, carrier }: LabelDeps,
  key: ShipmentKey,
  carrierShipmentId: string,
): Promise<RefundState> {
  const { postage, refund } = await carrier.getShipment(carrierShipmentId)
  if (postage === undefined) return 'none'
  const now = refund === 'none' ? await requestRefund(carrier, carrierShipmentId) : refund
  await recordRefund(pool, key, postage, now)
  return now
}

async function requestRefund(carrier: CarrierClient, id: string): Promise<RefundState> {
  try {
    const { refund } = await carrier.requestRefund(id)
    return refund === 'none' ? 'requested' : refund
  } catch (cause) {
    if (named(cause).code !== 'refund_refused') throw cause
    // Two may have asked at once; only if nobody's request stands, it is a refusal.
    const { refund } = await carrier.getShipment(id)
    return refund === 'none' ? 'refused' : refund
  }
}
