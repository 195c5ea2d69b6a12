/** `GET /orders`, `GET /orders/:id`, `POST /orders/:id/cancel`. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { buildAnswer } from '../answer.ts'
import { offerApproval } from '../approval.ts'
import { assertMayTouch, type Caller } from '../caller.ts'
import { cancelOrder } from '../cancel.ts'
import type { IntakeDeps } from '../intake.ts'
import { decodeCursor, encodeCursor, invalidQuery } from '../order-cursor.ts'
import { listOrders, readOrder } from '../order-store.ts'
import { outcomes } from '../outcome.ts'
import type { RouteDeps } from './deps.ts'
import { acceptEmptyBody, orderIdOf } from './request-parts.ts'

const pageMax = 100
const pageDefault = 20

/** The query of `GET /orders`. */
export const orderQuery = z.strictObject({
  status: z.enum(['running', ...outcomes]).optional(),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(pageMax).default(pageDefault),
})

export function orderRoutes(app: FastifyInstance, deps: RouteDeps & IntakeDeps): void {
  app.get('/orders', async (request) => {
    const caller = await deps.authenticate(request, 'orders:read')
    const parsed = orderQuery.safeParse(request.query)
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
    const row = await cancelOrder(deps, orderId, caller)
    return reply.code(202).send(await buildAnswer(deps.pool, row, deps.answers))
  })
}

const mayReadAll = (caller: Caller) => caller.scopes.has('orders:read:all')
