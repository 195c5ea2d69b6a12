/**
 * The fulfillment service's only door: from a priced order to a carrier's label.
 *
 * Codes as findings of a proposal: `too_heavy`, `no_service`, `address_refused`, `rate_changed` (of
 * a pinned offer). As errors:
 * `no_proposal`, `label_voided` (an undo came first: a late proposal or label is refused),
 * `shipment_changed` (another content was proposed under this key), `address_refused`,
 * `no_service`, `rate_changed` (the carrier's price rose above the stored proposal), `no_shipment`.
 * Passing: `carrier_unavailable`, `label_unavailable`, `purchase_under_way` (voided all the same:
 * ask again whether a label must be refunded). For an operator: `carrier_key_refused`,
 * `carrier_unpaid`.
 */
import { z } from 'zod'
import { definePrompt } from '../../platform/prompt.ts'
import { defineResource } from '../../platform/resource.ts'
import {
  agentFailure,
  agentRecord,
  defineTool,
  judgedBy,
  readsOnly,
  reasons,
  writesOnce,
} from '../../platform/tool.ts'
import { address, finding, orderId, pricedLine, round } from '../order/contract.ts'

export const serviceLevel = z.enum(['cheapest', 'fastest'])

/** A service that the carrier offers for a parcel, at a price in US cents. */
export const offer = z.object({
  carrier: z.string(),
  service: z.string(),
  priceCents: z.int(),
  currency: z.literal('USD'),
  deliveryDays: z.int().nullable(),
  deliveryDate: z.string().nullable(),
  meetsShipBy: z.boolean().nullable(),
})

/** One service at the most it may cost, in US cents. */
export const pinnedOffer = z.object({
  carrier: z.string().max(100),
  service: z.string().max(100),
  priceCents: z.int().min(0).max(100_000_000),
})

export const proposeShipment = defineTool({
  name: 'propose_shipment',
  description:
    'Choose carrier, service and price for the parcel of one round of an order and store the ' +
    'choice; an agent chooses among what the carrier offers, rules where it gives no usable ' +
    'choice. Use it before generate_label, which buys exactly the stored proposal. It spends ' +
    'nothing. Repeating the call returns the stored proposal without asking again.',
  version: 1,
  scope: 'fulfillment:propose',
  bound: 'order',
  plain: ['sku', 'serviceLevel', 'shipBy', 'country'],
  annotations: { ...writesOnce, openWorldHint: true },
  input: z.object({
    orderId,
    round,
    lines: z.array(pricedLine).min(1).max(100),
    shipTo: address,
    shipBy: z.iso.date().nullable(),
    serviceLevel,
    /** What a person approved: exactly this service at no more than this price, no agent is asked. */
    pinned: pinnedOffer.optional(),
  }),
  output: z.object({
    by: judgedBy,
    /** `review` when the agent asks for a person; what rules object to is in `findings`. */
    verdict: z.enum(['propose', 'review']),
    /** What generate_label would buy, after a `review`, too; null when there is nothing to buy. */
    proposal: offer.nullable(),
    international: z.boolean(),
    weightGrams: z.int(),
    shipTo: address,
    offers: z.array(offer),
    findings: z.array(finding),
    reasons,
    agentFailure: agentFailure.optional(),
    /** Null when rules had settled the question and no agent was asked. */
    agent: agentRecord.nullable(),
  }),
})

export const quoteShipment = defineTool({
  name: 'quote_shipment',
  description:
    'Say which service rules would choose for a parcel now, and what speaks against it: weight, ' +
    'address, no service. Use it to show a person what a round would cost before it is begun. It ' +
    'asks the carrier for rates, spends nothing, stores nothing and asks no agent. Repeating the ' +
    'call asks the carrier again.',
  version: 1,
  scope: 'fulfillment:read',
  bound: 'order',
  plain: ['sku', 'serviceLevel', 'shipBy', 'country'],
  annotations: { ...readsOnly, openWorldHint: true },
  input: z.object({
    orderId,
    lines: z.array(pricedLine).min(1).max(100),
    shipTo: address,
    shipBy: z.iso.date().nullable(),
    serviceLevel,
  }),
  output: z.object({
    proposal: offer.nullable(),
    international: z.boolean(),
    weightGrams: z.int(),
    findings: z.array(finding),
  }),
})

export const label = z.object({
  carrier: z.string(),
  service: z.string(),
  trackingNumber: z.string(),
  costCents: z.int(),
  international: z.boolean(),
})

export const generateLabel = defineTool({
  name: 'generate_label',
  description:
    'Buy the label of the stored proposal: exactly that carrier, service and at most that price. ' +
    'Use it once the order is committed. It refuses when no proposal is stored or the label was ' +
    'voided. Repeating the call returns the label that was bought; it never buys a second one.',
  version: 1,
  scope: 'fulfillment:label',
  bound: 'order',
  annotations: { ...writesOnce, openWorldHint: true },
  input: z.object({ orderId, round }),
  output: z.object({ orderId, round, state: z.literal('bought'), label }),
})

export const refundState = z.enum(['none', 'requested', 'refunded', 'refused'])

export const voidLabel = defineTool({
  name: 'void_label',
  description:
    'Void the label of one round of an order and ask the carrier for the money back; refunds are ' +
    'asynchronous. Use it to undo generate_label. It succeeds when no label was bought, and a ' +
    'label that comes later is refused. Repeating the call changes nothing.',
  version: 1,
  scope: 'fulfillment:void',
  bound: 'order',
  annotations: { ...writesOnce, destructiveHint: true, openWorldHint: true },
  input: z.object({ orderId, round }),
  output: z.object({ orderId, round, state: z.literal('voided'), refund: refundState }),
})

export const getShipment = defineTool({
  name: 'get_shipment',
  description:
    'Read the shipment of one round of an order: its state, label and refund, and with ' +
    '`withDocument` the label itself as a base64 PDF. Use it to show or print a label. Repeating ' +
    'the call changes nothing.',
  version: 1,
  scope: 'fulfillment:read',
  bound: 'order',
  annotations: readsOnly,
  input: z.object({ orderId, round, withDocument: z.boolean().default(false) }),
  output: z.object({
    orderId,
    round,
    state: z.enum(['proposed', 'buying', 'bought', 'voided']),
    label: label.nullable(),
    refund: refundState,
    documentBase64: z.string().nullable(),
  }),
})

export const shipmentResource = defineResource({
  name: 'shipment',
  uri: 'shipments://{orderId}',
  description:
    'The shipments of one order, newest round first: state, label, refund, without addresses. ' +
    'Watch it to hear when a label is bought or voided.',
  scope: 'fulfillment:read',
  bound: 'order',
  variables: z.object({ orderId }),
  ttlMs: 0,
})

export const investigateShipment = definePrompt({
  name: 'investigate_order',
  title: 'Investigate the parcel of an order',
  description:
    'Helps to find out where the parcel of an order stands and what happened to its labels. It ' +
    'changes nothing and asks the carrier nothing.',
  scope: 'fulfillment:read',
  bound: 'order',
  input: z.object({ orderId: orderId.describe('The order to look into') }),
})
