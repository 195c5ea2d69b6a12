/**
 * A person's part: `POST /orders/:id/approve`, `/reject` and `/edit` of a held order, each with the
 * digest of what `GET /orders/:id` showed, and `/resume` of a stuck one. Answers 202: the order runs.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { AppError, unavailable } from '../../platform/errors.ts'
import { buildAnswer } from '../answer.ts'
import { type ApprovalOffer, offerApproval } from '../approval.ts'
import { assertMayTouch } from '../caller.ts'
import { dismiss, startOrLeave } from '../dismiss.ts'
import type { IntakeDeps } from '../intake.ts'
import { editFields, editOrder } from '../order-edit.ts'
import { parseBody } from '../order-request.ts'
import { approvalUsed, beginRound, isUsed, notHeld, resumeOrder } from '../order-rounds.ts'
import { type OrderRow, readOrder } from '../order-store.ts'
import type { StoredEnding } from '../outcome.ts'
import type { RouteDeps } from './deps.ts'
import { acceptEmptyBody, orderIdOf } from './request-parts.ts'

const bodyBytesMax = 64 * 1024
const digest = z.string().regex(/^[0-9a-f]{64}$/, 'the digest that GET /orders/:id shows')
export const approveBody = z.strictObject({ digest })
export const editBody = z.strictObject({ digest, ...editFields })
export const rejectBody = z.strictObject({
  digest,
  reason: z.string().trim().min(1).max(500).optional(),
})

type Deps = RouteDeps & IntakeDeps
type ById = FastifyRequest<{ Params: { id: string } }>

export function approvalRoutes(app: FastifyInstance, deps: Deps): void {
  const options = { bodyLimit: bodyBytesMax }

  app.post('/orders/:id/approve', options, async (request: ById, reply) => {
    const { row, by } = await held(deps, request)
    const body = parseBody(approveBody, request.body)
    const { plan } = await current(deps, row, body.digest)
    const approval = { by, digest: body.digest, plan }
    const begun = await beginRound(deps.pool, row, { by, digest: body.digest }, { approval })
    return accepted(deps, reply, begun)
  })

  app.post('/orders/:id/edit', options, async (request: ById, reply) => {
    const { row, by } = await held(deps, request)
    const body = parseBody(editBody, request.body)
    const changed = editOrder(row.request, body)
    await current(deps, row, body.digest, 'edit')
    const begun = await beginRound(
      deps.pool,
      row,
      { by, digest: body.digest },
      { request: changed },
    )
    return accepted(deps, reply, begun)
  })

  app.post('/orders/:id/reject', options, async (request: ById, reply) => {
    const { row, by } = await held(deps, request)
    const body = parseBody(rejectBody, request.body)
    await current(deps, row, body.digest, 'edit')
    const ending = rejectedBy(row, by, body.reason)
    const dismissed = await dismiss(deps, row, { by, digest: body.digest }, ending)
    return answer(deps, reply, dismissed)
  })

  app.register(async (scope) => {
    acceptEmptyBody(scope)
    scope.post('/orders/:id/resume', options, async (request: ById, reply) => {
      const caller = await deps.authenticate(request, 'orders:resume')
      const row = await readOrder(deps.pool, orderIdOf(request.params))
      assertMayTouch(caller, row, 'orders:resume:all')
      return accepted(deps, reply, await resumeOrder(deps.pool, row, caller.clientId))
    })
  })
}

async function held(deps: Deps, request: ById): Promise<{ row: OrderRow; by: string }> {
  const caller = await deps.authenticate(request, 'orders:approve')
  const row = await readOrder(deps.pool, orderIdOf(request.params))
  assertMayTouch(caller, row, 'orders:approve:all')
  return { row, by: caller.clientId }
}

/**
 * What an approval would run now, if that is what the digest says. To edit or reject it, it need not
 * be approvable.
 *
 * @throws rejected `approval_used`, `not_held`, `approval_stale`, `not_approvable`.
 */
async function current(
  deps: Deps,
  row: OrderRow,
  wanted: string,
  use: 'approve' | 'edit' = 'approve',
): Promise<Extract<ApprovalOffer, { available: true }>> {
  if (await isUsed(deps.pool, row.orderId, wanted)) throw approvalUsed(row.orderId)
  if (row.status !== 'held') throw notHeld(row.status)
  const offer = await offerApproval(deps, row)
  if (!offer.available) {
    throw unavailable('dependency_unavailable', `It cannot be checked just now: ${offer.message}`, {
      next: 'Try again in a few seconds; nothing was changed.',
    })
  }
  if (offer.digest !== wanted) {
    throw new AppError('rejected', 'approval_stale', 'Something has changed since that digest', {
      next: 'Look at `approval` in this answer and send its digest.',
      details: { approval: offer },
    })
  }
  if (use === 'approve' && !offer.approvable) {
    const { why, next } = offer
    throw new AppError('rejected', 'not_approvable', why, { next })
  }
  return offer
}

function rejectedBy(row: OrderRow, by: string, reason: string | undefined): StoredEnding {
  const message = reason === undefined ? `Rejected by ${by}` : `Rejected by ${by}: ${reason}`
  const { findings = [], warnings = [] } = row.summary ?? {}
  return {
    outcome: 'rejected',
    code: 'rejected_by_person',
    summary: {
      message,
      next: 'Nothing is held for this order; order again if you like.',
      decision: { by: 'person', outcome: 'rejected', reasons: [message] },
      ...{ findings, warnings },
    },
  }
}

async function accepted(deps: Deps, reply: FastifyReply, row: OrderRow): Promise<FastifyReply> {
  await startOrLeave(deps, row)
  return answer(deps, reply, row)
}

async function answer(deps: Deps, reply: FastifyReply, row: OrderRow): Promise<FastifyReply> {
  return reply
    .code(202)
    .header('location', `/orders/${row.orderId}`)
    .send(await buildAnswer(deps.pool, row, deps.answers))
}
