/** Puts what a request does into its trace, that of its `traceparent` or one of its own, as a span. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { attribute } from './trace-attributes.ts'
import { inTrace, openSpan, placeFrom, type TracePlace } from './tracing.ts'

/** Asked for all the time and by machines; and `/mcp`, where every tool call has a span of its own. */
const unrecorded = new Set(['/healthz', '/readyz', '/metrics', '/mcp'])
const serverErrorMin = 500

/** The id of a request must be the id of its trace. */
export function traceRequests(app: FastifyInstance): void {
  const places = new WeakMap<FastifyRequest, TracePlace>()
  app.addHook('onRequest', (request, reply, done) => {
    const parent = placeFrom(request.headers.traceparent) ?? { traceId: request.id }
    const { url: route } = request.routeOptions
    const span = unrecorded.has(route ?? '') ? undefined : openRequest(request, route, parent)
    // On the raw answer, because a hijacked reply skips Fastify's own hooks.
    reply.raw.once('close', () => {
      if (span === undefined) return
      const { statusCode } = reply.raw
      span.set({ [attribute.httpStatus]: statusCode })
      if (statusCode >= serverErrorMin) span.fail(String(statusCode))
      span.end()
    })
    const place = span?.place ?? parent
    places.set(request, place)
    inTrace(place, done)
  })
  // A body is read by events of its socket, which know nothing of the request.
  app.addHook('preValidation', (request, _reply, done) => {
    inTrace(places.get(request) ?? { traceId: request.id }, done)
  })
}

function openRequest({ method }: FastifyRequest, route: string | undefined, parent: TracePlace) {
  const attributes = { [attribute.httpMethod]: method, [attribute.httpRoute]: route }
  const name = route === undefined ? method : `${method} ${route}`
  return openSpan(name, attributes, { kind: 'server', parent })
}
