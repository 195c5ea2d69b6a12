/** What can be read and watched by URI: the shipments of an order. */
import type { Pool } from '../../platform/db.ts'
import { missing } from '../../platform/errors.ts'
import { implementResource, type Resource } from '../../platform/resource.ts'
import { shipmentResource } from './contract.ts'
import { listShipments, type ShipmentSummary } from './shipments.ts'

/** Every resource of the service. */
export function fulfillmentResources(pool: Pool): Resource[] {
  return [
    implementResource(shipmentResource, {
      read: async ({ orderId = '' }) => ({
        orderId,
        shipments: await shipmentsOf(pool, orderId),
      }),
    }),
  ]
}

/** @throws missing `no_shipment`. */
export async function shipmentsOf(pool: Pool, orderId: string): Promise<ShipmentSummary[]> {
  const shipments = await listShipments(pool, orderId)
  if (shipments.length > 0) return shipments
  throw missing('no_shipment', 'No shipment is known for this order', {
    next: 'An order has one once propose_shipment has answered.',
  })
}
