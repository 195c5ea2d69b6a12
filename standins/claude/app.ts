/**
 * The Claude stand-in as a Fastify app: Anthropic's Messages API on the wire, rules inside.
 *
 * It is not a model. Nothing about model quality can be concluded from its answers, and every
 * answer is marked: ids, headers and `inference_geo` say so.
 */

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { fastify, LogController } from 'fastify'
import { ApiError, errorBody, errorTypeOf, invalidRequest } from './api-error.ts'
import { addControlRoutes } from './control-routes.ts'
import { addMessagesRoutes } from './messages-route.ts'
import { addModelsRoutes } from './models-routes.ts'
import type { ClaudeStandinOptions } from './standin.ts'
import { createStandin } from './standin.ts'

const bodyBytesMax = 32 * 1024 * 1024
const versions = ['2023-06-01', '2026-10-21']

/** What is logged when the server listens. */
export function banner(address: string): string {
  return `Claude stand-in at ${address}: rules, not a model; conclude nothing about model quality from it`
}

/**
 * Builds the app; the caller listens and closes. Throws (zod) when an option is out of its limits.
 * Closing ends stalled connections and lets answers in flight finish.
 */
export function createClaudeStandin(options: ClaudeStandinOptions = {}): FastifyInstance {
  const standin = createStandin(options)
  const app = fastify({
    bodyLimit: options.bodyBytesMax ?? bodyBytesMax,
    genReqId: standin.ids.request,
    logController: new LogController({ disableRequestLogging: true }),
    logger: {
      level: options.logLevel ?? 'silent',
      base: { service: 'claude-standin', standin: true },
    },
  })
  app.decorateRequest('journalEntry', null)

  app.addHook('onRequest', async (request, reply) => {
    reply.headers({
      'request-id': request.id,
      'x-claude-stand-in': 'true',
      'anthropic-organization-id': 'offline-stand-in',
    })
  })
  app.addHook('preParsing', async (request) => {
    if (request.url.startsWith('/v1/')) checkCaller(request)
  })
  app.addHook('preClose', async () => {
    standin.courier.dropStalled()
    await standin.journal.whenIdle()
    // A connection that never carried a request does not count as idle and would delay the close.
    app.server.closeAllConnections()
  })

  app.setErrorHandler((cause, request, reply) => {
    const error = toApiError(cause)
    if (error.status >= 500)
      request.log.warn({ err: cause, requestId: request.id }, 'request failed')
    if (request.journalEntry !== null) {
      request.journalEntry.error = { type: error.type, message: error.message }
    }
    return reply.code(error.status).headers(error.headers).send(errorBody(error, request.id))
  })
  app.setNotFoundHandler((request, reply) => {
    const error = new ApiError('not_found_error', 'Not Found')
    return reply.code(404).send(errorBody(error, request.id))
  })

  app.get('/healthz', async () => ({ status: 'ok', standin: true }))
  app.get('/readyz', async () => ({ status: 'ready', standin: true }))
  addMessagesRoutes(app, standin)
  addModelsRoutes(app)
  addControlRoutes(app, standin)
  return app
}

/** Any key will do, but there must be one: SDK 1.x sends it as bearer, older clients as x-api-key. */
function checkCaller({ headers }: FastifyRequest): void {
  const bearer = /^Bearer\s+\S/i.test(headers.authorization ?? '')
  const apiKey = headers['x-api-key']
  if (!bearer && (apiKey === undefined || apiKey === '')) {
    throw new ApiError(
      'authentication_error',
      'Authorization bearer or x-api-key header is required',
    )
  }
  const version = headers['anthropic-version']
  if (version === undefined) throw invalidRequest('anthropic-version: header is required')
  if (!versions.includes(String(version))) {
    throw invalidRequest(`anthropic-version: "${version}" is not a valid version`)
  }
}

function toApiError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause
  const status = cause instanceof Error && 'statusCode' in cause ? Number(cause.statusCode) : 500
  if (status >= 500) return new ApiError('api_error', 'Internal server error')
  return new ApiError(errorTypeOf(status), cause instanceof Error ? cause.message : 'Bad request', {
    status,
  })
}
