/** The orchestrator's own operations for `/openapi.json`; those of its tools and probes are added. */
import { z } from 'zod'
import { type ApiPart, json, type Operation } from '../platform/openapi-operation.ts'
import { customerRef } from '../services/order/contract.ts'
import { answerSchema, orderListSchema, orderSchema } from './answer-schema.ts'
import { waitSecondsMax } from './await-order.ts'
import { orderScopes } from './caller.ts'
import { idempotencyKey } from './contract.ts'
import { explanationSchema } from './explanation-schema.ts'
import { approvalOperations, location, orderPath } from './openapi-approvals.ts'
import { tokenOperations } from './openapi-tokens.ts'
import { longForm, shortForm } from './order-request.ts'
import { orderQuery } from './routes/orders.ts'

// JSON Schema cannot see through the door's step from a name to `{name}`.
const customer = z.union([customerRef.options[1].shape.name, ...customerRef.options])
const newOrder = z.union([shortForm.extend({ customer }), longForm.extend({ customer })])

const orchestrate: Operation = {
  ...{ method: 'post', path: '/orchestrate', operationId: 'submitOrder', tag: 'orders' },
  summary: 'Take an order in and carry it through: check, reserve, decide, ship',
  description:
    'Waits for the end and answers 200; when that takes longer than the wait, or by ' +
    '`Prefer: respond-async`, answers 202 and where to look. The same Idempotency-Key with the ' +
    'same body is the same order.',
  access: { scope: 'orders:submit' },
  headers: z.object({
    'Idempotency-Key': idempotencyKey.optional(),
    Prefer: z
      .string()
      .optional()
      .describe(`RFC 7240: respond-async, or wait=N (seconds; default 30, most ${waitSecondsMax})`),
  }),
  body: {
    schema: newOrder,
    examples: {
      short: { sku: 'ABC123', qty: 5, customer: 'John Doe' },
      long: {
        lines: [{ sku: 'ABC123', quantity: 5 }],
        customer: { name: 'John Doe' },
        shipBy: '2030-01-31',
      },
    },
  },
  answers: {
    200: json('The order has ended', answerSchema, location),
    202: json('The order runs', answerSchema, location),
  },
  refusals: {
    400: ['invalid_order', 'invalid_idempotency_key'],
    422: ['idempotency_key_reused'],
    429: ['overloaded'],
  },
}

const listOrders: Operation = {
  ...{ method: 'get', path: '/orders', operationId: 'listOrders', tag: 'orders' },
  summary: 'The caller’s orders, newest first; with orders:read:all those of every client',
  access: { scope: 'orders:read' },
  query: orderQuery,
  answers: { 200: json('A page', orderListSchema) },
  refusals: { 400: ['invalid_query'] },
}

const byId = { pathParameters: orderPath, tag: 'orders' } as const
const noOrder = { 400: ['invalid_order_id'], 404: ['no_such_order'] }

const readOrder: Operation = {
  ...{ ...byId, method: 'get', path: '/orders/{id}', operationId: 'readOrder' },
  summary: 'One order: where it stands, what every step did and cost',
  access: { scope: 'orders:read' },
  answers: { 200: json('The order', orderSchema) },
  refusals: noOrder,
}

const explainOrder: Operation = {
  ...{ ...byId, method: 'get', path: '/orders/{id}/explain', operationId: 'explainOrder' },
  summary: 'Why an order ended as it did, step by step; with Accept: text/plain to be read out',
  description:
    'Who proposed what, what the rules said, and what it took. What the agents’ tools found is ' +
    'shown to who may read every order (orders:read:all).',
  access: { scope: 'orders:read' },
  headers: z.object({ Accept: z.string().optional().describe('application/json or text/plain') }),
  answers: {
    200: {
      description: 'The explanation',
      content: { 'application/json': explanationSchema, 'text/plain': z.string() },
    },
  },
  refusals: noOrder,
}

const streamEvents: Operation = {
  ...{ ...byId, method: 'get', path: '/orders/{id}/events', operationId: 'streamOrderEvents' },
  summary: 'What happens to an order, as server-sent events',
  description:
    'From the start, or after Last-Event-ID, until the order ends. Events: step_started, ' +
    'step_finished, order_finished, order_approved, order_edited, order_resumed, order_dismissed; ' +
    'their data is JSON with round and at. Comments keep the connection open.',
  access: { scope: 'orders:read' },
  headers: z.object({
    'Last-Event-ID': z.string().optional().describe('The id of the last event that was seen'),
  }),
  answers: {
    200: { description: 'The stream', content: { 'text/event-stream': z.string() } },
  },
  refusals: noOrder,
}

const cancelOrder: Operation = {
  ...{ ...byId, method: 'post', path: '/orders/{id}/cancel', operationId: 'cancelOrder' },
  summary: 'Give up an order that has not been shipped; what it holds is given back',
  access: { scope: 'orders:cancel' },
  body: { schema: z.looseObject({}).describe('Not looked at'), required: false },
  answers: { 202: json('It will end as cancelled, unless it just has', answerSchema) },
  refusals: { ...noOrder, 409: ['too_late', 'too_many_resumes'] },
}

const readLabel: Operation = {
  ...{ method: 'get', path: '/labels/{file}', operationId: 'readLabel', tag: 'orders' },
  summary: 'The shipping label that `label.url` of an answer names',
  access: 'open',
  pathParameters: z.object({
    file: z.string().describe('A key that only who may read the order knows, and `.pdf`'),
  }),
  answers: {
    200: { description: 'The label', content: { 'application/pdf': z.string() } },
  },
  refusals: { 404: ['no_such_label', 'no_shipment'], 500: [], 503: [] },
}

/** What the orchestrator serves besides the doors of every process; `issuerUrl` is its tokens' `iss`. */
export const orchestratorApi = (issuerUrl: string): ApiPart => ({
  title: 'Baton',
  description:
    'Agent-backed order orchestration. Refusals are problem documents (RFC 9457) with a stable ' +
    '`code`. Started with AUTH=off, on loopback only, no token is asked for.',
  operations: [
    ...[orchestrate, listOrders, readOrder, explainOrder, streamEvents, cancelOrder],
    ...[...approvalOperations, readLabel, ...tokenOperations(issuerUrl)],
  ],
  schemas: {
    Answer: answerSchema,
    Order: orderSchema,
    Explanation: explanationSchema,
    OrderList: orderListSchema,
  },
  scopes: orderScopes,
  issuesTokens: true,
})
