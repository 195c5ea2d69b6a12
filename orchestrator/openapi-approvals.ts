/** The operations of a person's part: `routes/approvals.ts` in the words of OpenAPI. */
import { z } from 'zod'
import { json, type Operation } from '../platform/openapi-operation.ts'
import { address, lines, note } from '../services/order/contract.ts'
import { answerSchema } from './answer-schema.ts'
import type { editFields } from './order-edit.ts'
import { approveBody, editBody, rejectBody } from './routes/approvals.ts'

export const orderPath = z.object({ id: z.uuid().describe('The orderId of an answer') })
export const location = { Location: 'Where the order is read: /orders/{id}' }
export const runs = json('It runs; read where the order stands at Location', answerSchema, location)

/** What the door takes in each field; the route passes them on to it as they are. */
const editable = {
  lines: lines.optional(),
  shipTo: address.nullable().optional(),
  note: note.nullable().optional(),
  shipBy: z.iso.date().nullable().optional(),
} satisfies Record<keyof typeof editFields, z.ZodType>

const ofPerson = {
  method: 'post',
  tag: 'approvals',
  pathParameters: orderPath,
  answers: { 202: runs },
} as const
const noOrder = { 404: ['no_such_order'] }
const stale = ['approval_used', 'not_held', 'approval_stale'] as const

export const approvalOperations: readonly Operation[] = [
  {
    ...ofPerson,
    ...{ path: '/orders/{id}/approve', operationId: 'approveOrder' },
    summary: 'Run a held order as its `approval` says',
    description: 'The digest is that of GET /orders/{id}; it works once, and only while it holds.',
    access: { scope: 'orders:approve' },
    body: { schema: approveBody },
    refusals: {
      ...noOrder,
      400: ['invalid_order_id', 'invalid_body'],
      409: [...stale, 'not_approvable', 'too_many_rounds'],
    },
  },
  {
    ...ofPerson,
    ...{ path: '/orders/{id}/edit', operationId: 'editOrder' },
    summary: 'Change a held order and run it again from the start',
    description: 'Fields that are not named stay; null takes one away.',
    access: { scope: 'orders:approve' },
    body: { schema: editBody.extend(editable) },
    refusals: {
      ...noOrder,
      400: ['invalid_order_id', 'invalid_body', 'invalid_order', 'no_change'],
      409: [...stale, 'too_many_rounds'],
    },
  },
  {
    ...ofPerson,
    ...{ path: '/orders/{id}/reject', operationId: 'rejectOrder' },
    summary: 'End a held order as rejected',
    access: { scope: 'orders:approve' },
    body: { schema: rejectBody },
    refusals: {
      ...noOrder,
      400: ['invalid_order_id', 'invalid_body'],
      409: [...stale, 'too_many_resumes'],
    },
  },
  {
    ...ofPerson,
    ...{ path: '/orders/{id}/resume', operationId: 'resumeOrder' },
    summary: 'Send a stuck order on from where it stands',
    access: { scope: 'orders:resume' },
    body: { schema: z.looseObject({}).describe('Not looked at'), required: false },
    refusals: {
      ...noOrder,
      400: ['invalid_order_id'],
      409: ['not_stuck', 'too_many_resumes'],
    },
  },
]
