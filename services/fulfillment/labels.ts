/**
 * Buying a label once. Undoing it: refunds.ts.
 *
 *     set out ──▶ carrier's shipment ──▶ take its id ──▶ announce ──▶ buy ──▶ record
 *                 (costs nothing)        (one wins)                   (once)
 *
 * A crash between any two leaves a row that the next call goes on from: the carrier's shipment that
 * the row names is the only one ever bought, and the carrier sells postage for it once. After an
 * unclear answer the carrier is asked what it has sold, before anything is bought again.
 */
import { type AppError, named, rejected, unavailable } from '../../platform/errors.ts'
import type { CarrierShipment, Postage } from './carrier-answers.ts'
import type { CarrierClient } from './carrier-client.ts'
import {
  beginPurchase,
  endPurchase,
  readShipment,
  recordBought,
  type ShipmentRow,
  startBuying,
  takeCarrierShipment,
} from './label-store.ts'
import { rateToBuy } from './offer-rules.ts'
import { labelVoided, type ShipmentKey } from './proposal-store.ts'
import { type LabelDeps, settleRefund } from './refunds.ts'

/**
 * Buys the stored proposal and returns the shipment; a repeat returns what was bought.
 *
 * @throws rejected `no_proposal`, `label_voided`, `rate_changed`, `no_service`, `address_refused`.
 * @throws unavailable when the carrier's answer is unclear; a repeat finds out and goes on.
 */
export async function buyLabel(deps: LabelDeps, key: ShipmentKey): Promise<ShipmentRow> {
  const row = await startBuying(deps.pool, key)
  if (row === undefined) return boughtRow(deps, key)
  const shipment = await openCarrierShipment(deps, key, row)
  if (shipment === undefined) return boughtRow(deps, key)
  const postage = shipment.postage ?? (await purchase(deps, key, row, shipment))
  if (postage === undefined) return boughtRow(deps, key)
  const bought = await recordBought(deps.pool, key, postage)
  if (bought !== undefined) return bought
  // Somebody recorded it before us, or an undo came in between: then the money must come back.
  return boughtRow(deps, key, () => settleRefund(deps, key, shipment.id))
}

/** The shipment that somebody else bought, or the reason why there is none. */
async function boughtRow(
  { pool }: LabelDeps,
  key: ShipmentKey,
  beforeRefusal: () => Promise<unknown> = async () => {},
): Promise<ShipmentRow> {
  const row = await readShipment(pool, key)
  if (row?.state === 'bought') return row
  if (row?.state !== 'voided') {
    throw rejected('no_proposal', 'Nothing to buy is stored for this round', {
      next: 'Call propose_shipment first and read its findings.',
    })
  }
  await beforeRefusal()
  throw labelVoided(key)
}

/** The carrier's shipment of this row; undefined when the row is not being bought any more. */
async function openCarrierShipment(
  { pool, carrier }: LabelDeps,
  key: ShipmentKey,
  { carrierShipmentId, request, weightGrams }: ShipmentRow,
): Promise<CarrierShipment | undefined> {
  if (carrierShipmentId !== null) return carrier.getShipment(carrierShipmentId)
  if (request === null || weightGrams === null) return undefined
  const { shipTo, lines } = request
  const reference = `${key.orderId}:${key.round}`
  const created = await carrier.createShipment({ shipTo, lines, weightGrams }, reference)
  if (await takeCarrierShipment(pool, key, created.id)) return created
  // Ours was one too many: never bought, it costs nothing.
  const winner = await readShipment(pool, key)
  if (winner?.state !== 'buying' || winner.carrierShipmentId === null) return undefined
  return carrier.getShipment(winner.carrierShipmentId)
}

/** Buys postage for a shipment that had none; undefined when the row is not being bought any more. */
async function purchase(
  { pool, carrier, purchaseMs }: LabelDeps,
  key: ShipmentKey,
  { choice }: ShipmentRow,
  { id, rates }: CarrierShipment,
): Promise<Postage | undefined> {
  if (choice === null) return undefined
  const rateId = rateToBuy(rates, choice)
  if (!(await beginPurchase(pool, key, purchaseMs))) return undefined
  try {
    return mustHavePostage(await carrier.buy(id, rateId))
  } catch (cause) {
    const error = named(cause)
    const unclear = error.kind === 'unavailable' || error.code === 'already_bought'
    if (unclear) return lookAfter(carrier, id, error)
    await endPurchase(pool, key)
    throw error
  }
}

/** After an unclear purchase: what the carrier has sold, or the error when it has sold nothing. */
async function lookAfter(carrier: CarrierClient, id: string, error: AppError): Promise<Postage> {
  const seen = await carrier.getShipment(id)
  if (seen.postage !== undefined) return seen.postage
  throw error.kind === 'unavailable' ? error : unfinished(error)
}

function mustHavePostage({ postage }: CarrierShipment): Postage {
  if (postage === undefined) throw unfinished()
  return postage
}

const unfinished = (cause?: unknown) =>
  unavailable('carrier_unavailable', 'The carrier has not finished the purchase yet', {
    next: 'Try again in a few seconds.',
    cause,
  })
