/** `GET /orders/:id/explain`: why an order ended as it did, as JSON or, with `Accept: text/plain`, as text. */
import type { FastifyInstance } from 'fastify'
import { assertMayTouch } from '../caller.ts'
import { explainOrder } from '../explain.ts'
import { explanationText } from '../explain-text.ts'
import { readOrder } from '../order-store.ts'
import type { RouteDeps } from './deps.ts'
import { orderIdOf } from './request-parts.ts'

export function explainRoute(app: FastifyInstance, deps: RouteDeps): void {
  app.get<{ Params: { id: string } }>('/orders/:id/explain', async (request, reply) => {
    const caller = await deps.authenticate(request, 'orders:read')
    const row = await readOrder(deps.pool, orderIdOf(request.params))
    assertMayTouch(caller, row, 'orders:read:all')
    // What tools found may tell of orders that other clients placed for the same customer.
    const withEvidence = caller.scopes.has('orders:read:all')
    const { mode } = deps.answers
    const explained = await explainOrder(deps.pool, row, { mode, withEvidence })
    reply.header('vary', 'accept')
    if (!wantsText(request.headers.accept)) return explained
    return reply.type('text/plain; charset=utf-8').send(explanationText(explained))
  })
}

/** Text only when it is named before JSON; what accepts anything gets JSON. */
function wantsText(accept: string | undefined): boolean {
  const types = (accept ?? '').split(',').map((type) => type.split(';')[0]?.trim())
  const text = types.indexOf('text/plain')
  const json = types.indexOf('application/json')
  return text >= 0 && (json < 0 || text < json)
}
