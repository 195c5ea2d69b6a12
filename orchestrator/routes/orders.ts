/** `GET /orders`, `GET /orders/:id`, `POST /orders/:id/cancel`. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { invalid } from '../../platform/errors.ts'
import { buildAnswer } from '../answer.ts'
import { assertMayTouch, type Caller } from '../caller.ts'
import { listOrders, readOrder, requestCancel } from '../order-store.ts'
import { outcomes } from '../outcome.ts'
import type { RouteDeps } from './deps.ts'

const pageMax = 100
const pageDefault = 20

const query = z.strictObject({
  status: z.enum(['running', ...outcomes]).optional(),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(pageMax).default(pageDefault),
})
const cursorContent = z.object({ createdAt: z.iso.datetime({ precision: 6 }), orderId: z.uuid() })

export function orderRoutes(app: FastifyInstance, deps: RouteDeps): void {
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
    return buildAnswer(deps.pool, row, deps.answers)
  })

  app.register(async (scope) => cancelRoute(scope, deps))
}

/** In a scope of its own, because only here an empty body is as good as none. */
function cancelRoute(app: FastifyInstance, deps: RouteDeps): void {
  // Common clients say application/json on every POST, also without a body.
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) =>
    body === '' ? done(null, undefined) : parseJson(request, String(body), done),
  )

  app.post<{ Params: { id: string } }>('/orders/:id/cancel', async (request, reply) => {
    const caller = await deps.authenticate(request, 'orders:cancel')
    const orderId = orderIdOf(request.params)
    assertMayTouch(caller, await readOrder(deps.pool, orderId), 'orders:cancel:all')
    await requestCancel(deps.pool, orderId)
    const row = await readOrder(deps.pool, orderId)
    return reply.code(202).send(await buildAnswer(deps.pool, row, deps.answers))
  })
}

const mayReadAll = (caller: Caller) => caller.scopes.has('orders:read:all')

/** @throws invalid `invalid_order_id`, so that nothing but a UUID reaches a query. */
export function orderIdOf(params: { id: string }): string {
  const parsed = z.uuid().safeParse(params.id)
  if (parsed.success) return parsed.data.toLowerCase()
  throw invalid('invalid_order_id', 'An order id is a UUID', {
    next: 'Use the orderId of the answer to POST /orchestrate.',
  })
}

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
