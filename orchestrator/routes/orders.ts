/** `GET /orders`, `GET /orders/:id`, `POST /orders/:id/cancel`. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { invalid, named, toWire } from '../../platform/errors.ts'
import { buildAnswer } from '../answer.ts'
import { offerApproval } from '../approval.ts'
import { assertMayTouch, type Caller } from '../caller.ts'
import type { IntakeDeps } from '../intake.ts'
import { listOrders, type OrderRow, readOrder, requestCancel } from '../order-store.ts'
import { outcomes } from '../outcome.ts'
import { endByError } from '../workflows/endings.ts'
import { cancelledByClient } from '../workflows/order-run.ts'
import { dismiss } from './approvals.ts'
import type { RouteDeps } from './deps.ts'
import { acceptEmptyBody, orderIdOf } from './request-parts.ts'

const pageMax = 100
const pageDefault = 20

const query = z.strictObject({
  status: z.enum(['running', ...outcomes]).optional(),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(pageMax).default(pageDefault),
})
const cursorContent = z.object({ createdAt: z.iso.datetime({ precision: 6 }), orderId: z.uuid() })

export function orderRoutes(app: FastifyInstance, deps: RouteDeps & IntakeDeps): void {
  app.get('/orders', async (request) => {
    const caller = await deps.authenticate(request, 'orders:read')
    const parsed = query.safeParse(request.query)
    if (!parsed.success) throw invalidQuery(parsed.error.issues[0]?.message ?? '')
    const { status, cursor, limit } = parsed.data
    const orders = await listOrders(deps.pool, {
      clientId: mayReadAll(caller) ? undefined : caller.clientId,
      status,
      before: cursor === undefined ? undefined : decodeCursor(cursor),
      limit,
    })
    const last = orders.length === limit ? orders.at(-1) : undefined
    return { orders, nextCursor: last === undefined ? null : encodeCursor(last) }
  })

  app.get<{ Params: { id: string } }>('/orders/:id', async (request) => {
    const caller = await deps.authenticate(request, 'orders:read')
    const row = await readOrder(deps.pool, orderIdOf(request.params))
    assertMayTouch(caller, row, 'orders:read:all')
    const answer = await buildAnswer(deps.pool, row, deps.answers)
    if (row.status !== 'held') return answer
    return { ...answer, approval: await offerApproval(deps, row) }
  })

  app.register(async (scope) => cancelRoute(scope, deps))
}

/** In a scope of its own, because only here an empty body is as good as none. */
function cancelRoute(app: FastifyInstance, deps: RouteDeps & IntakeDeps): void {
  acceptEmptyBody(app)

  app.post<{ Params: { id: string } }>('/orders/:id/cancel', async (request, reply) => {
    const caller = await deps.authenticate(request, 'orders:cancel')
    const orderId = orderIdOf(request.params)
    const known = await readOrder(deps.pool, orderId)
    assertMayTouch(caller, known, 'orders:cancel:all')
    const row = (await giveUp(deps, known, caller)) ?? (await cancelRunning(deps, orderId))
    return reply.code(202).send(await buildAnswer(deps.pool, row, deps.answers))
  })
}

/** Ends a held order; undefined when it is not held, or not any more since it was read. */
async function giveUp(deps: RouteDeps & IntakeDeps, known: OrderRow, { clientId }: Caller) {
  if (known.status !== 'held') return undefined
  try {
    return await dismiss(deps, known, { by: clientId }, byClient, 'cancelling')
  } catch (cause) {
    if (named(cause).code === 'not_held') return undefined
    throw cause
  }
}

async function cancelRunning({ pool }: RouteDeps, orderId: string): Promise<OrderRow> {
  await requestCancel(pool, orderId)
  return readOrder(pool, orderId)
}

const byClient = endByError(toWire(cancelledByClient()))

const mayReadAll = (caller: Caller) => caller.scopes.has('orders:read:all')

const encodeCursor = ({ createdAt, orderId }: { createdAt: string; orderId: string }) =>
  Buffer.from(JSON.stringify({ createdAt, orderId })).toString('base64url')

function decodeCursor(cursor: string): z.infer<typeof cursorContent> {
  try {
    return cursorContent.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
  } catch {
    throw invalidQuery('cursor is not one of ours')
  }
}

const invalidQuery = (message: string) =>
  invalid('invalid_query', `The query is not valid: ${message}`, {
    next: 'Use status, limit (1 to 100) and the nextCursor of the page before.',
  })
