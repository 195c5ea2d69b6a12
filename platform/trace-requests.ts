/** Puts what a request does into its trace: that of its `traceparent`, or one of its own. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { inTrace, placeFrom, type TracePlace } from './tracing.ts'

/** The id of a request must be the id of its trace. */
export function traceRequests(app: FastifyInstance): void {
  const places = new WeakMap<FastifyRequest, TracePlace>()
  app.addHook('onRequest', (request, _reply, done) => {
    const place = placeFrom(request.headers.traceparent) ?? { traceId: request.id }
    places.set(request, place)
    inTrace(place, done)
  })
  // A body is read by events of its socket, which know nothing of the request.
  app.addHook('preValidation', (request, _reply, done) => {
    inTrace(places.get(request) ?? { traceId: request.id }, done)
  })
}
