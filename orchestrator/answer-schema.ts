/**
 * What answers about an order look like: for `/openapi.json`, and for tests that hold real answers
 * against it. Nothing is served through these schemas; `answer.ts` and `approval.ts` build answers.
 */
import { z } from 'zod'
import { agentRecord } from '../platform/tool.ts'
import { checkedLine } from '../services/inventory/contract.ts'
import { address, customerRef, finding, lines, note, outcome } from '../services/order/contract.ts'
import { outcomeCodes } from './outcome.ts'

const orderId = z.uuid()
const round = z.int().min(1)
export const traceId = z.string().regex(/^[0-9a-f]{32}$/)
export const usd = z.string().regex(/^\d+(\.\d+)?$/)
const codes = Object.keys(outcomeCodes) as (keyof typeof outcomeCodes)[]
const endCode = z.enum(codes).describe('Why it did not end as fulfilled')
const { usage, model, fallbackFrom, turns, stopReason, repaired, durationMs } = agentRecord.shape
const toolCalls = z.array(z.strictObject({ name: z.string(), ok: z.boolean() }))

/** An error as it is told of a step; without cause and stack. */
export const stepError = z.strictObject({
  kind: z.enum(['invalid', 'denied', 'missing', 'rejected', 'unavailable', 'internal']),
  code: z.string(),
  message: z.string(),
  next: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
})

const stepCommon = {
  round,
  name: z.string(),
  service: z.enum(['order', 'inventory', 'fulfillment', 'orchestrator']),
  tool: z.string(),
  attempts: z.int().min(1),
  agent: z
    .strictObject({ model, fallbackFrom, turns, stopReason, repaired, toolCalls, durationMs })
    .optional(),
  usage: usage.optional(),
  costUsd: usd.optional(),
  durationMs: z.int().min(0),
}
const step = z.discriminatedUnion('state', [
  z.strictObject({
    ...stepCommon,
    state: z.literal('done'),
    result: z.unknown().describe('What the tool answered, by its contract'),
  }),
  z.strictObject({ ...stepCommon, state: z.literal('failed'), error: stepError }),
])

/** Of every answer, while the order runs and after. */
const common = {
  orderId,
  round: round.describe('1, and one more after each approval or edit'),
  order: z
    .strictObject({
      lines,
      customer: customerRef,
      shipTo: address.optional(),
      note: note.optional(),
      shipBy: z.iso.date().optional(),
    })
    .describe('What was ordered, in normal form: lines merged by sku'),
  degraded: z.boolean().describe('Whether a smaller model or rules stood in for an agent'),
  lostCapabilities: z.array(
    z.strictObject({ step: z.string(), servedBy: z.string(), lost: z.string() }),
  ),
  steps: z.array(step),
  usage,
  costUsd: usd.describe('Of the models, exact; simulated when mode is standin'),
  mode: z.enum(['standin', 'live']),
  traceId,
  createdAt: z.iso.datetime(),
}

const label = z.strictObject({
  url: z.url().describe('Opens in a browser, without a token'),
  trackingNumber: z.string(),
  carrier: z.string(),
  service: z.string(),
  costUsd: usd,
})

const ended = {
  ...common,
  message: z.string(),
  next: z.string().optional(),
  decision: z.strictObject({
    by: z.enum(['rules', 'agent', 'client', 'person']),
    outcome,
    reasons: z.array(z.string()),
  }),
  findings: z.array(finding.strict()),
  warnings: z.array(z.strictObject({ code: z.string(), message: z.string() })),
  finishedAt: z.iso.datetime(),
}

const running = z.strictObject({ ...common, status: z.literal('running') })
const fulfilled = z.strictObject({ ...ended, status: z.literal('fulfilled'), label })
const endedOtherwise = z.strictObject({
  ...ended,
  status: outcome.exclude(['fulfilled', 'held']),
  code: endCode,
  // Of a stuck order whose label was bought, or of one that was bought and then refused.
  label: label.optional(),
  backorder: z.strictObject({ lines: z.array(checkedLine) }).optional(),
})
const held = endedOtherwise.extend({ status: z.literal('held') })

/** What everything but `GET /orders/:id` answers of an order. */
export const answerSchema = z
  .discriminatedUnion('status', [running, fulfilled, held, endedOtherwise])
  .describe('Where an order stands: running, or how it ended, why, and what can be done next')

const approvalPlan = z.strictObject({
  orderId,
  round: round.describe('The round that would begin'),
  lines: z.array(
    z.strictObject({
      sku: z.string(),
      quantity: z.int().min(1),
      unitPriceCents: z.int(),
      inStock: z.boolean(),
    }),
  ),
  totalCents: z.int(),
  currency: z.literal('USD'),
  shipTo: address.nullable(),
  shipBy: z.iso.date().nullable(),
  shipment: z
    .strictObject({
      carrier: z.string(),
      service: z.string(),
      priceCents: z.int(),
      weightGrams: z.int(),
      international: z.boolean(),
    })
    .nullable(),
  overrides: z.array(z.strictObject({ code: z.string(), message: z.string() })),
})

const offered = {
  available: z.literal(true),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  plan: approvalPlan,
}
const approval = z.union([
  z.strictObject({ ...offered, approvable: z.literal(true) }),
  z.strictObject({
    ...offered,
    approvable: z.literal(false),
    why: z.string(),
    next: z.string(),
  }),
  z.strictObject({ available: z.literal(false), code: z.string(), message: z.string() }),
])

/** What `GET /orders/:id` answers: of a held order also what an approval would run. */
export const orderSchema = z
  .discriminatedUnion('status', [running, fulfilled, held.extend({ approval }), endedOtherwise])
  .describe('An order; a held one with what an approval would run now, and its digest')

/** A page of `GET /orders`. */
export const orderListSchema = z.strictObject({
  orders: z.array(
    z.strictObject({
      orderId,
      round,
      status: z.enum(['running', ...outcome.options]),
      code: endCode.nullable(),
      createdAt: z.iso.datetime(),
    }),
  ),
  nextCursor: z.string().nullable().describe('The `cursor` of the next page; null on the last'),
})
