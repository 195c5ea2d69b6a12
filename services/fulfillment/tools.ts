/** The handlers behind the contract: what each tool does with its checked input. */
import { implement, type Tool } from '../../platform/tool.ts'
import * as contract from './contract.ts'
import type { ShipmentRow } from './label-store.ts'
import { buyLabel } from './labels.ts'
import { type ProposeDeps, proposeShipment, quoteShipment } from './propose.ts'
import { type LabelDeps, undoLabel } from './refunds.ts'
import { isInternational } from './shipment-rules.ts'
import { findShipment, labelDocument } from './shipments.ts'

/** Every tool of the service, over its database, its carrier and its agent. */
export function fulfillmentTools(deps: ProposeDeps & LabelDeps): Tool[] {
  return [
    implement(contract.proposeShipment, async ({ orderId, round, ...request }, { signal }) =>
      proposeShipment(deps, { orderId, round }, request, signal),
    ),

    implement(contract.quoteShipment, async ({ orderId: _orderId, ...request }, { signal }) =>
      quoteShipment(deps, request, signal),
    ),

    implement(contract.generateLabel, async ({ orderId, round }) => {
      const label = labelOf(await buyLabel(deps, { orderId, round }))
      if (label === null) throw new Error('a bought shipment has no label')
      return { orderId, round, state: 'bought' as const, label }
    }),

    implement(contract.voidLabel, async ({ orderId, round }) => {
      const refund = await undoLabel(deps, { orderId, round })
      return { orderId, round, state: 'voided' as const, refund }
    }),

    implement(contract.getShipment, async ({ orderId, round, withDocument }) => {
      const row = await findShipment(deps, { orderId, round })
      const document = withDocument ? await labelDocument(deps, { orderId, round }, row) : null
      const documentBase64 = document?.toString('base64') ?? null
      const { state, refund } = row
      return { orderId, round, state, label: labelOf(row), refund, documentBase64 }
    }),
  ]
}

function labelOf({ choice, label, request }: ShipmentRow) {
  if (choice === null || label === null || request === null) return null
  return {
    carrier: choice.carrier,
    service: choice.service,
    trackingNumber: label.trackingNumber,
    costCents: label.costCents,
    international: isInternational(request.shipTo),
  }
}
