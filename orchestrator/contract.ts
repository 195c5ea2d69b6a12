/**
 * The orchestrator's own door for MCP clients: the whole main job. Orders belong to the client that
 * submitted them; those of others look like none.
 *
 * Codes: `no_such_order`, `idempotency_key_reused`, `invalid_order`, `overloaded`, `too_late` (of a
 * cancel).
 */
import { z } from 'zod'
import { definePrompt } from '../platform/prompt.ts'
import { defineResource } from '../platform/resource.ts'
import { defineTool, readsOnly, writesOnce } from '../platform/tool.ts'
import {
  address,
  customerRef,
  lines,
  note,
  orderId,
  outcome,
  round,
} from '../services/order/contract.ts'

export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible characters')
  .describe('Yours, one for each order: a UUID')
const waitSeconds = z.int().min(0).max(120).default(0)

/** What tools say of an order; `GET /orders/:id` says more. */
const orderState = z.object({
  orderId,
  round,
  status: z.enum(['running', ...outcome.options]),
  code: z.string().optional(),
  message: z.string().optional(),
  next: z.string().optional(),
  decision: z
    .object({ by: z.string(), outcome, reasons: z.array(z.string()).readonly() })
    .optional(),
  label: z
    .object({
      url: z.string(),
      trackingNumber: z.string(),
      carrier: z.string(),
      service: z.string(),
      costUsd: z.string(),
    })
    .optional(),
  steps: z.array(
    z.object({
      round,
      name: z.string(),
      state: z.enum(['done', 'failed']),
      durationMs: z.int(),
    }),
  ),
  costUsd: z.string().describe('Of the models, exact; simulated when mode is standin'),
  mode: z.enum(['standin', 'live']),
  traceId: z.string(),
  createdAt: z.string(),
  finishedAt: z.string().optional(),
})

export const orchestrateOrder = defineTool({
  name: 'orchestrate_order',
  description:
    'Take one order in and carry it through: check, reserve, decide, ship. Use it once for each ' +
    'order that a customer wants; to look at an order use get_order_status. With waitSeconds it ' +
    'answers at the end, or how far it is by then, and tells progress meanwhile; with 0 it answers ' +
    'at once, and the order goes on. Repeating the call with the same idempotencyKey and content ' +
    'returns the same order, so make one key for each order and use it again after a lost answer.',
  version: 1,
  scope: 'orders:submit',
  bound: 'none',
  plain: ['sku', 'shipBy', 'country'],
  annotations: { ...writesOnce, openWorldHint: true },
  input: z.object({
    idempotencyKey,
    lines,
    customer: customerRef,
    shipTo: address.optional(),
    note: note.optional(),
    shipBy: z.iso.date().optional(),
    waitSeconds,
  }),
  output: orderState,
})

export const getOrderStatus = defineTool({
  name: 'get_order_status',
  description:
    'Say where an order stands: running, or how it ended, why, and what can be done next. Use it ' +
    'after orchestrate_order, with waitSeconds to wait for the end. It shows only orders of the ' +
    'calling client. Repeating the call changes nothing.',
  version: 1,
  scope: 'orders:read',
  bound: 'none',
  annotations: readsOnly,
  input: z.object({ orderId, waitSeconds }),
  output: orderState,
})

export const cancelOrder = defineTool({
  name: 'cancel_order',
  description:
    'Cancel an order that has not been shipped: what it holds is given back. Use it when the ' +
    'customer does not want the order any more; it refuses with too_late once the parcel is being ' +
    'labelled. A running order ends a moment later: ask get_order_status. Repeating the call ' +
    'changes nothing.',
  version: 1,
  scope: 'orders:cancel',
  bound: 'none',
  annotations: { ...writesOnce, destructiveHint: true },
  input: z.object({ orderId }),
  output: orderState,
})

export const orderResource = defineResource({
  name: 'order',
  uri: 'orders://{orderId}',
  description:
    'One order as GET /orders/:id answers it, with every step. Watch it to hear of each step and ' +
    'of its end.',
  scope: 'orders:read',
  bound: 'none',
  variables: z.object({ orderId }),
  ttlMs: 0,
})

export const activeOrders = defineResource({
  name: 'active_orders',
  uri: 'orders://active',
  description:
    'The running orders of the calling client, newest first, up to 100. Watch it to hear when one ' +
    'begins or ends.',
  scope: 'orders:read',
  bound: 'none',
  variables: z.object({}),
  ttlMs: 0,
})

const ofOrder = {
  scope: 'orders:read',
  bound: 'none',
  input: z.object({ orderId: orderId.describe('The order it is about') }),
} as const

export const investigateOrder = definePrompt({
  name: 'investigate_order',
  title: 'Investigate an order',
  description:
    'Helps to find out what happened to an order, step by step, and what to do next. It changes ' +
    'nothing.',
  ...ofOrder,
})

export const explainRejection = definePrompt({
  name: 'explain_rejection',
  title: 'Explain a rejection',
  description:
    'Helps to tell a customer why an order was rejected or held, from what was decided. It decides ' +
    'nothing again.',
  ...ofOrder,
})

export const draftBackorderNotice = definePrompt({
  name: 'draft_backorder_notice',
  title: 'Draft a backorder notice',
  description:
    'Helps to write to a customer whose order waits for stock: what is short, when more is ' +
    'expected, what could be sent instead. It sends nothing.',
  ...ofOrder,
})
