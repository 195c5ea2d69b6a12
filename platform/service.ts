/**
 * The HTTP shell of every process: health, readiness, metrics, limits, problem answers, graceful
 * stop. What the process is for is mounted by its caller.
 */
import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  fastify,
  LogController,
} from 'fastify'
import { databaseFault } from './db.ts'
import { AppError, invalid, named, policy, toWire, type WireError } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { traceRequests } from './trace-requests.ts'
import { traceIdFrom } from './tracing.ts'

const bodyBytesMax = 256 * 1024
const requestTimeoutMs = 30_000
const headersTimeoutMs = 10_000
/** How often connections that send too slowly are looked for and cut off. */
const slowCheckMs = 1_000
const readyCheckMs = 2_000
const discardedBytesMax = 32 * 1024 * 1024
const discardMs = 5_000

/** On every answer. Nothing here is a page; a route that serves one says what it may load. */
const securityHeaders = [
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['x-frame-options', 'DENY'],
  ['cross-origin-resource-policy', 'same-origin'],
] as const

/** How long a stop waits for one more in-flight call to end, at a time. */
const drainPollMs = 50

interface HttpProcess {
  readonly app: FastifyInstance
  /** Readiness answers 503 from now on; requests are still served. */
  drain(): void
  /** New connections are refused from now on; those that are open are still served. */
  stopListening(): void
  /** Requests whose answer is not finished; streams count until they end. */
  inFlight(): number
}

/**
 * A Fastify app with `/healthz` (the process only), `/readyz` (`checkReady` and not draining) and
 * `/metrics`. Errors leave it as `application/problem+json` (RFC 9457).
 */
export function createHttpProcess(options: {
  readonly log: Log
  readonly metrics: Metrics
  readonly checkReady: () => Promise<unknown>
}): HttpProcess {
  let draining = false
  let inFlight = 0
  const app = fastify({
    loggerInstance: options.log as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    http: { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: slowCheckMs },
    genReqId: (request) => traceIdFrom(request.headers.traceparent),
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    // The router's own refusals, before any hook: a URL that is too long or no URL.
    frameworkErrors: (error, request, reply) => {
      for (const [name, value] of securityHeaders) reply.raw.setHeader(name, value)
      sendProblem(reply as FastifyReply, error, request.id, options.log)
    },
  })
  traceRequests(app)
  // Nothing here takes text; without its parser such a body is answered 415.
  app.removeContentTypeParser('text/plain')
  // On the raw answer, because a hijacked reply (MCP, event streams) skips Fastify's own hooks.
  app.addHook('onRequest', async (_request, reply) => {
    // Whoever keeps the connection would find it closed; with a new one it finds another replica.
    if (draining) reply.raw.setHeader('connection', 'close')
    for (const [name, value] of securityHeaders) reply.raw.setHeader(name, value)
    inFlight += 1
    reply.raw.once('close', () => {
      inFlight -= 1
    })
  })
  // A client that connected and never asked would hold the close for a minute; whoever stops the
  // process has waited for what is in flight before.
  app.addHook('preClose', async () => app.server.closeAllConnections())
  app.setErrorHandler(async (error, request, reply) => {
    if ((error as { statusCode?: number }).statusCode === 413) await discardBody(request.raw)
    return sendProblem(reply, error, request.id, options.log)
  })
  app.setNotFoundHandler((request, reply) => {
    // Without the query: it may hold what somebody meant to keep to themselves.
    const [path] = request.url.split('?')
    const error = new AppError('missing', 'no_such_route', `No ${request.method} ${path}`, {
      next: 'See the README for the routes of this process.',
    })
    return sendProblem(reply, error, request.id, options.log)
  })

  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const ready = !draining && (await within(readyCheckMs, options.checkReady()))
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', draining })
  })
  app.get('/metrics', async (request, reply) => {
    const { contentType, text } = await options.metrics.render(request.headers.accept)
    return reply.type(contentType).send(text)
  })
  return {
    app,
    drain: () => {
      draining = true
    },
    stopListening: () => {
      app.server.close()
    },
    inFlight: () => inFlight,
  }
}

/** Answers with a problem document; what nobody named is logged and hidden. */
function sendProblem(reply: FastifyReply, cause: unknown, traceId: string, log: Log): FastifyReply {
  const error = translate(cause)
  log[policy[error.kind].level]({ err: cause, code: error.code, traceId }, 'request failed')
  return answerProblem(reply, error, traceId)
}

/** The same for an error that is logged elsewhere. */
export function answerProblem(reply: FastifyReply, error: AppError, traceId: string): FastifyReply {
  const status = error.http?.status ?? policy[error.kind].status
  return reply
    .code(status)
    .headers(error.http?.headers ?? {})
    .type('application/problem+json')
    .send(problem(toWire(error), status, traceId))
}

/** RFC 9457 members, plus our stable `code`, `next` and whatever `details` the error carries. */
export function problem(error: WireError, status: number, traceId: string): object {
  return {
    ...error.details,
    type: `urn:baton:problem:${error.code}`,
    title: error.message,
    status,
    code: error.code,
    ...(error.next === undefined ? {} : { next: error.next }),
    traceId,
  }
}

const httpCodes: Readonly<Record<number, string>> = {
  400: 'malformed_request',
  408: 'request_timeout',
  413: 'body_too_large',
  414: 'url_too_long',
  415: 'unsupported_media_type',
  431: 'headers_too_large',
}

/** Fastify's own refusals (bad JSON, too large, wrong type) become named errors. */
function translate(cause: unknown): AppError {
  const { statusCode, message } = cause as { statusCode?: number; message?: string }
  if (!(cause instanceof AppError) && statusCode !== undefined && statusCode < 500) {
    const code = httpCodes[statusCode] ?? 'malformed_request'
    return invalid(code, message ?? 'The request is malformed', {
      next: 'Correct the request; repeating it as it is will not help.',
      http: { status: statusCode },
    })
  }
  return named(databaseFault(cause))
}

/**
 * Reads on and throws away, within limits: a client that is still sending when the connection
 * closes sees a broken pipe instead of the answer.
 */
async function discardBody(body: IncomingMessage): Promise<void> {
  let bytes = 0
  const ended = new Promise<void>((resolve) => {
    body.once('end', resolve).once('close', resolve)
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > discardedBytesMax) resolve()
    })
  })
  await within(discardMs, ended)
}

async function within(ms: number, check: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const ok = check.then(
    () => true,
    () => false,
  )
  return Promise.race([ok, late]).finally(() => clearTimeout(timer))
}

/**
 * The first part of a stop: readiness says no at once, requests are still taken for `acceptMs`, so
 * that a load balancer can see it and no request meets a closed door; then only what is in flight is
 * served, for at most `timeoutMs`.
 */
export async function drained(
  http: Pick<HttpProcess, 'drain' | 'stopListening' | 'inFlight'>,
  options: {
    readonly acceptMs: number
    readonly timeoutMs: number
    /** Ends streams, which would end by nothing else. */
    readonly endStreams?: () => void
  },
): Promise<void> {
  const { acceptMs, timeoutMs, endStreams } = options
  http.drain()
  if (acceptMs > 0) await delay(acceptMs)
  http.stopListening()
  endStreams?.()
  const until = Date.now() + timeoutMs
  while (http.inFlight() > 0 && Date.now() < until) await delay(drainPollMs)
}
