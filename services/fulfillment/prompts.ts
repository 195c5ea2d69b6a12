/** Texts that a person's own model may start from. */
import type { Pool } from '../../platform/db.ts'
import { implementPrompt, type Prompt } from '../../platform/prompt.ts'
import { investigateShipment } from './contract.ts'
import { shipmentsOf } from './resources.ts'

/** Every prompt of the service. */
export function fulfillmentPrompts(pool: Pool): Prompt[] {
  return [
    implementPrompt(investigateShipment, async ({ orderId }) => ({
      task:
        'Say where the parcel of this order stands: which rounds have a shipment, which label is ' +
        'valid, what was voided and whether its refund has come. Name what is odd, such as two ' +
        'bought labels or a refused refund. Say only what the facts below show.',
      facts: { orderId, shipments: await shipmentsOf(pool, orderId) },
    })),
  ]
}
