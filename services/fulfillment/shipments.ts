/** Reading a shipment: how it stands, and its label as a document. */
import { missing } from '../../platform/errors.ts'
import { readDocument, readShipment, type ShipmentRow, storeDocument } from './label-store.ts'
import type { ShipmentKey } from './proposal-store.ts'
import { type LabelDeps, settleRefund } from './refunds.ts'

/**
 * The shipment as it stands, with a requested refund read again at the carrier if it can be reached.
 *
 * @throws missing `no_shipment`
 */
export async function findShipment(deps: LabelDeps, key: ShipmentKey): Promise<ShipmentRow> {
  const row = await readShipment(deps.pool, key)
  if (row === undefined) {
    throw missing('no_shipment', 'No shipment is known for this round of the order')
  }
  if (row.refund !== 'requested' || row.carrierShipmentId === null) return row
  const refund = await settleRefund(deps, key, row.carrierShipmentId).catch(() => row.refund)
  return { ...row, refund }
}

/**
 * The label as a PDF; null unless it is bought and valid. Fetched from the carrier once, at the
 * first reading, so that buying does not wait for it.
 *
 * @throws unavailable `label_unavailable` when the carrier does not hand it out now.
 */
export async function labelDocument(
  { pool, carrier }: LabelDeps,
  key: ShipmentKey,
  { state, label }: ShipmentRow,
): Promise<Buffer | null> {
  if (state !== 'bought' || label === null) return null
  const stored = await readDocument(pool, key)
  if (stored !== null) return stored
  const document = await carrier.downloadLabel(label.carrierUrl)
  await storeDocument(pool, key, document)
  return document
}
