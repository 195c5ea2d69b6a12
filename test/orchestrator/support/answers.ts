/** What the three services say of one ordinary order: 2 mugs for Ada, in stock, shippable. */
import type { z } from 'zod'
import type { Opened, Proposals } from '../../../orchestrator/workflows/facts.ts'
import type { label, quoteShipment } from '../../../services/fulfillment/contract.ts'
import type { checkedLine } from '../../../services/inventory/contract.ts'
import type { Finding } from '../../../services/order/contract.ts'

type Validation = NonNullable<Proposals['validation']>
type Availability = NonNullable<Proposals['availability']>
type Shipment = NonNullable<Proposals['shipment']>
type CheckedLine = z.infer<typeof checkedLine>
export type Label = z.infer<typeof label>

export const shipTo = {
  name: 'Ada Lovelace',
  street1: '1 Main Street',
  city: 'Springfield',
  region: 'IL',
  postalCode: '62701',
  country: 'US',
}
export const request = { lines: [{ sku: 'mug', quantity: 2 }], customer: { name: 'Ada Lovelace' } }

/** What one agent run used: 1,000 nano-USD. */
export const agentRun = {
  model: 'claude-haiku-5-5',
  mode: 'standin' as const,
  turns: 2,
  stopReason: 'end_turn',
  repaired: false,
  toolCalls: [{ name: 'get_order', ok: true, evidence: '{"seen":true}' }],
  usage: {
    inputTokens: 100,
    outputTokens: 20,
    cacheReadTokens: 0,
    cacheWrite5mTokens: 0,
    cacheWrite1hTokens: 0,
  },
  costNanoUsd: 1_000,
  durationMs: 5,
}

export const openedOrder = (orderId: string, change: Partial<Opened> = {}): Opened => ({
  orderId,
  round: 1,
  customerId: 'cus_ada',
  customerStatus: 'active',
  lines: [
    {
      sku: 'mug',
      name: 'Mug',
      quantity: 2,
      unitPriceCents: 1_200,
      lineTotalCents: 2_400,
      weightGrams: 350,
      hsCode: '691200',
      originCountry: 'US',
    },
  ],
  totalCents: 2_400,
  currency: 'USD',
  shipTo,
  shipBy: null,
  note: null,
  noteSuspicious: false,
  findings: [],
  ...change,
})

export const validation = (change: Partial<Validation> = {}): Validation => ({
  by: 'agent',
  verdict: 'accept',
  risk: 'low',
  noteContainsInstructions: false,
  reasons: ['a known customer'],
  agent: agentRun,
  ...change,
})

export const stockLine = (change: Partial<CheckedLine> = {}): CheckedLine => ({
  sku: 'mug',
  quantity: 2,
  available: 10,
  short: 0,
  restockDate: null,
  substitutes: [],
  offer: { kind: 'none', substituteSku: null },
  ...change,
})

export const availability = (change: Partial<Availability> = {}): Availability => ({
  by: 'agent',
  available: true,
  verdict: 'available',
  lines: [stockLine()],
  reasons: ['enough of everything'],
  agent: agentRun,
  ...change,
})

export const shipment = (change: Partial<Shipment> = {}): Shipment => {
  const offer = {
    carrier: 'USPS',
    service: 'Ground',
    priceCents: 780,
    currency: 'USD' as const,
    deliveryDays: 4,
    deliveryDate: null,
    meetsShipBy: null,
  }
  return {
    by: 'agent',
    verdict: 'propose',
    proposal: offer,
    international: false,
    weightGrams: 700,
    shipTo,
    offers: [offer],
    findings: [],
    reasons: ['the cheapest'],
    agent: agentRun,
    ...change,
  }
}

/** What rules would choose for the parcel of an ordinary order. */
export const parcelQuote = (change: Partial<z.input<typeof quoteShipment.output>> = {}) => {
  const { proposal, international, weightGrams, findings } = shipment()
  return { proposal, international, weightGrams, findings, ...change }
}

export const boughtLabel: Label = {
  carrier: 'USPS',
  service: 'Ground',
  trackingNumber: '9400100000000000000000',
  costCents: 780,
  international: false,
}

export const finding = (code: string, outcome: Finding['outcome']): Finding => ({
  code,
  outcome,
  message: `found ${code}`,
  next: 'do something',
})
