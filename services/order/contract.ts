/**
 * The order service's only door: who orders what, at which price, to which address.
 *
 * Codes: `order_closed` (the round was closed before, a late open is refused), `order_changed` (the
 * round was opened with other content), `no_such_order`, `bad_cursor`. As findings: `unknown_sku`,
 * `discontinued_sku`, `unknown_customer`, `ambiguous_customer`, `blocked_customer`, `no_address`,
 * `over_limit`.
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

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this pattern refuses
const noControls = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: newline and tab are allowed in a note
const noControlsButBreaks = /^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$/

const wellFormed = (text: string) => text.isWellFormed()
const printable = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(noControls, 'no control characters')
    .refine(wellFormed, 'no broken Unicode')

export const orderId = z.uuid().toLowerCase().describe('The order, as given by the orchestrator')
export const round = z.int().min(1).max(1_000).describe('1, and one more after each approval')
export const sku = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'letters, digits, dot, dash, underscore; at most 64')
  .describe('Stock keeping unit, as printed on the shelf')
export const line = z.strictObject({ sku, quantity: z.int().min(1).max(1_000) })
export const lines = z.array(line).min(1).max(100)
export const note = z
  .string()
  .max(2_000)
  .regex(noControlsButBreaks, 'no control characters')
  .refine(wellFormed, 'no broken Unicode')

/** Where a parcel goes. `country` is ISO 3166-1 alpha-2; `region` is needed in the US. */
export const address = z.strictObject({
  name: printable(100),
  street1: printable(100),
  street2: printable(100).optional(),
  city: printable(100),
  region: printable(50).optional(),
  postalCode: printable(20),
  country: z.string().regex(/^[A-Z]{2}$/, 'two capital letters, such as US'),
})

const customerId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'letters, digits, dash, underscore')
/** A customer by id, or by name (and e-mail where the name alone is not unique). */
export const customerRef = z.union([
  z.strictObject({ id: customerId }),
  z.strictObject({ name: printable(100), email: z.email().max(200).optional() }),
])

/** A rule's objection. Several at once: `rejected` before `backordered` before `held`. */
export const finding = z.object({
  code: z.string(),
  outcome: z.enum(['rejected', 'backordered', 'held']),
  message: z.string(),
  next: z.string(),
  sku: z.string().optional(),
})
export type Finding = z.infer<typeof finding>

/** A line with what the catalogue says of it, within its limits. Money in integer US cents. */
export const pricedLine = z.object({
  sku: z.string().max(64),
  name: z.string().max(200),
  quantity: z.int().max(100_000),
  unitPriceCents: z.int().max(100_000_000),
  lineTotalCents: z.int().max(10_000_000_000_000),
  weightGrams: z.int().max(2_147_483_647),
  hsCode: z.string().max(20),
  originCountry: z.string().max(2),
})

export const openedOrder = z.object({
  orderId,
  round,
  customerId: z.string().nullable(),
  customerStatus: z.enum(['active', 'blocked']).nullable(),
  lines: z.array(pricedLine),
  totalCents: z.int(),
  currency: z.literal('USD'),
  shipTo: address.nullable(),
  shipBy: z.string().nullable(),
  note: z.string().nullable(),
  /** Code's own screen of the note: it reads like instructions to a system. */
  noteSuspicious: z.boolean(),
  findings: z.array(finding),
})

export const openOrder = defineTool({
  name: 'open_order',
  description:
    'Record one round of an order with its prices, customer and address, and check it against the ' +
    'rules of customers, catalogue and limits. Use it once, before anything else is done for the ' +
    'order. It refuses nothing that rules can express as a finding: read `findings`. Repeating the ' +
    'call for the same order and round returns what the first call recorded.',
  version: 1,
  scope: 'order:write',
  bound: 'order',
  plain: ['sku', 'shipBy', 'country'],
  annotations: writesOnce,
  input: z.object({
    orderId,
    round,
    customer: customerRef,
    lines,
    shipTo: address.optional(),
    note: note.optional(),
    shipBy: z.iso.date().optional(),
  }),
  output: openedOrder,
})

export const quoteOrder = defineTool({
  name: 'quote_order',
  description:
    'Say what open_order would record for this content now: prices, total, address and what the ' +
    'rules object to. Use it to show a person what a round would be before it is begun. It records ' +
    'nothing, so a later open_order may find other prices. Repeating the call asks the catalogue again.',
  version: 1,
  scope: 'order:read',
  bound: 'order',
  plain: ['sku', 'shipBy', 'country'],
  annotations: readsOnly,
  input: openOrder.input,
  output: openedOrder,
})

export const outcome = z.enum([
  'fulfilled',
  'rejected',
  'backordered',
  'held',
  'cancelled',
  'stuck',
])

export const closeOrder = defineTool({
  name: 'close_order',
  description:
    'Record how one round of an order ended. Use it once, when nothing more will be done in that ' +
    'round. It succeeds for a round that was never opened and then refuses a late open. Repeating ' +
    'the call keeps the first outcome and returns it; only a held round, which waits for a person, ' +
    'may still become rejected or cancelled.',
  version: 1,
  scope: 'order:write',
  bound: 'order',
  plain: ['outcome', 'code'],
  annotations: writesOnce,
  input: z.object({
    orderId,
    round,
    outcome,
    code: z.string().max(64).optional(),
    reason: z.string().max(2_000),
  }),
  output: z.object({ orderId, round, outcome }),
})

export const validateOrder = defineTool({
  name: 'validate_order',
  description:
    'Judge whether an opened order is plausible and how risky it is; the judgement is an agent’s, ' +
    'rules answer where it gives none. Use it after open_order. It decides nothing and changes ' +
    'nothing. Repeating the call asks the agent again.',
  version: 1,
  scope: 'order:validate',
  bound: 'order',
  annotations: { ...readsOnly, idempotentHint: false, openWorldHint: true },
  input: z.object({ orderId, round }),
  output: z.object({
    by: judgedBy,
    verdict: z.enum(['accept', 'review']),
    risk: z.enum(['low', 'medium', 'high']),
    noteContainsInstructions: z.boolean(),
    reasons,
    agentFailure: agentFailure.optional(),
    agent: agentRecord,
  }),
})

const storedOrder = openedOrder.extend({
  status: z.enum(['open', ...outcome.options]),
  openedAt: z.string(),
})

export const getOrder = defineTool({
  name: 'get_order',
  description:
    'Read the newest round of one order as the order service recorded it. Use it to look at an ' +
    'order; for a list use find_orders. Repeating the call changes nothing.',
  version: 1,
  scope: 'order:read',
  bound: 'order',
  annotations: readsOnly,
  input: z.object({ orderId }),
  output: storedOrder,
})

export const findOrders = defineTool({
  name: 'find_orders',
  description:
    'List orders, newest first, optionally of one customer or with one status. Use it to find an ' +
    'order whose id is not known; notes and addresses are left out. Pass `nextCursor` back as ' +
    '`cursor` for more. Repeating the call changes nothing.',
  version: 1,
  scope: 'order:read',
  bound: 'none',
  plain: ['status'],
  annotations: readsOnly,
  input: z.object({
    customerId: customerId.optional(),
    status: z.enum(['open', ...outcome.options]).optional(),
    limit: z.int().min(1).max(100).default(20),
    cursor: z.string().max(200).optional(),
  }),
  output: z.object({
    orders: z.array(
      z.object({
        orderId,
        round,
        customerId: z.string().nullable(),
        totalCents: z.int(),
        status: z.enum(['open', ...outcome.options]),
        openedAt: z.string(),
      }),
    ),
    nextCursor: z.string().nullable(),
  }),
})

export const orderResource = defineResource({
  name: 'order',
  uri: 'orders://{orderId}',
  description:
    'The newest round of one order as the order service recorded it: customer, lines, prices, ' +
    'findings, status. Watch it to hear when a round is opened or ends.',
  scope: 'order:read',
  bound: 'order',
  variables: z.object({ orderId }),
  ttlMs: 0,
})

export const activeOrders = defineResource({
  name: 'active_orders',
  uri: 'orders://active',
  description:
    'The newest orders whose round is open, up to 100, without notes and addresses. Read ' +
    'orders://{orderId} for one of them; use find_orders for others.',
  scope: 'order:read',
  bound: 'none',
  variables: z.object({}),
  ttlMs: 0,
})

export const explainRejection = definePrompt({
  name: 'explain_rejection',
  title: 'Explain what the rules object to',
  description:
    'Helps to tell a customer why an order was rejected or held, from what the rules recorded. It ' +
    'changes nothing and decides nothing again.',
  scope: 'order:read',
  bound: 'order',
  input: z.object({ orderId: orderId.describe('The order to explain') }),
})
