/** Parts of requests that several routes read. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { invalid } from '../../platform/errors.ts'

/** @throws invalid `invalid_order_id`, so that nothing but a UUID reaches a query. */
export function orderIdOf(params: { id: string }): string {
  const parsed = z.uuid().safeParse(params.id)
  if (parsed.success) return parsed.data.toLowerCase()
  throw invalid('invalid_order_id', 'An order id is a UUID', {
    next: 'Use the orderId of the answer to POST /orchestrate.',
  })
}

/** In this scope an empty body is as good as none: common clients say JSON on every POST. */
export function acceptEmptyBody(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) =>
    body === '' ? done(null, undefined) : parseJson(request, String(body), done),
  )
}
