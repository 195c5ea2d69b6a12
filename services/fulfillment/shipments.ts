/** Reading a shipment: how it stands, and its label as a document. */
import type { Db } from '../../platform/db.ts'
import { missing } from '../../platform/errors.ts'
import { readDocument, readShipment, type ShipmentRow, storeDocument } from './label-store.ts'
import type { ShipmentKey } from './proposal-store.ts'
import { type LabelDeps, settleRefund } from './refunds.ts'

const shipmentsMax = 100

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

export interface ShipmentSummary {
  readonly round: number
  readonly state: ShipmentRow['state']
  readonly carrier: string | null
  readonly service: string | null
  readonly trackingNumber: string | null
  readonly labelCostCents: number | null
  readonly refund: ShipmentRow['refund']
}

/** The shipments of an order, newest round first, as they stand here: the carrier is not asked. */
export async function listShipments(db: Db, orderId: string): Promise<ShipmentSummary[]> {
  const { rows } = await db.query<ShipmentSummary>(
    `select round, state, carrier, service, tracking_number as "trackingNumber",
            label_cost_cents as "labelCostCents", refund
       from shipment
      where order_id = $1
      order by round desc
      limit ${shipmentsMax}`,
    [orderId],
  )
  return rows
}
