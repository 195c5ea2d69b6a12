/**
 * The carrier stand-in as a function: a Fastify server that speaks a subset of the EasyPost v2 REST
 * API, offers made-up services and prints sample labels. Every answer carries `x-carrier-stand-in`.
 */
import { randomUUID } from 'node:crypto'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { registerAddressRoutes } from './address-routes.ts'
import { requireTestKey } from './auth.ts'
import { Book } from './book.ts'
import { CarrierError, errorBody, notFound } from './errors.ts'
import { type Fault, Faults, registerFaults } from './faults.ts'
import { registerLabelRoutes } from './label-routes.ts'
import { registerShipmentRoutes } from './shipment-routes.ts'
import { registerStandinRoutes } from './standin-routes.ts'
import { registerTrackerRoutes } from './tracker-routes.ts'

const BODY_BYTES_MAX = 128 * 1024

export interface CarrierStandInOptions {
  /** The JSONL book; created when missing. One process per file. */
  readonly dataFile: string
  /** Base of label urls; default: the host the request named. */
  readonly publicUrl?: string | undefined
  /** How long refunds stay `submitted`; default one minute. */
  readonly refundDelayMs?: number
  /** Faults to begin with; default none. */
  readonly faults?: readonly Fault[]
  /** Milliseconds since 1970; default the real clock. */
  readonly now?: () => number
  /** Default `silent`. */
  readonly logLevel?: string
}

/**
 * Opens the book and builds the server, which does not listen yet. Closing it writes what waits.
 *
 * @throws when the book is damaged or cannot be opened.
 */
export async function buildCarrierStandIn(
  options: CarrierStandInOptions,
): Promise<FastifyInstance> {
  const now = options.now ?? Date.now
  const app: FastifyInstance = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    genReqId: () => randomUUID(),
    logger: { level: options.logLevel ?? 'silent', base: { service: 'carrier-standin' } },
  })
  const { dataFile, refundDelayMs = 60_000 } = options
  const { book, replay } = await Book.open({ dataFile, refundDelayMs, now })
  if (replay.tornBytes > 0) {
    app.log.warn({ dataFile, tornBytes: replay.tornBytes }, 'dropped a torn last line of the book')
  }
  const faults = new Faults(options.faults)

  speakEasyPost(app)
  registerHealth(app, book)
  registerLabelRoutes(app, book)
  registerStandinRoutes(app, book, faults)
  await app.register(async (api) => {
    api.addHook('onRequest', requireTestKey)
    registerFaults(api, faults)
    registerShipmentRoutes(api, {
      book,
      now,
      baseUrl: ({ protocol, host }) => options.publicUrl ?? `${protocol}://${host}`,
    })
    registerAddressRoutes(api, now)
    registerTrackerRoutes(api, book)
  })
  app.addHook('onClose', () => book.close())
  return app
}

/** Headers, body parsing and errors as at EasyPost. */
function speakEasyPost(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-carrier-stand-in', 'true').header('x-ep-request-uuid', request.id)
  })

  // Clients send `content-type: application/json` with an empty body to refund; EasyPost takes it.
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    async (_request: FastifyRequest, body: string) => {
      if (body === '') return undefined
      try {
        return JSON.parse(body) as unknown
      } catch {
        throw new CarrierError(400, 'BAD_REQUEST', 'The request body is not valid JSON.')
      }
    },
  )

  app.setNotFoundHandler(() => {
    throw notFound()
  })

  app.setErrorHandler((error: FastifyError | CarrierError, request, reply) => {
    const known = error instanceof CarrierError ? error : translate(error)
    if (known.status >= 500 && known !== error) {
      request.log.error({ err: error, path: request.url }, 'request failed')
    }
    return reply.code(known.status).send(errorBody(known))
  })
}

function translate(error: FastifyError): CarrierError {
  const status = error.statusCode ?? 500
  if (status < 500) return new CarrierError(status, 'BAD_REQUEST', error.message)
  return new CarrierError(500, 'INTERNAL_SERVER_ERROR', 'The carrier stand-in failed.')
}

/** `/healthz`: the process lives. `/readyz`: the book can be written and the server is not stopping. */
function registerHealth(app: FastifyInstance, book: Book): void {
  let stopping = false
  app.addHook('preClose', async () => {
    stopping = true
  })
  app.get('/healthz', async () => ({ status: 'ok', standIn: true }))
  app.get('/readyz', async (_request, reply) => {
    const ready = book.healthy && !stopping
    reply.code(ready ? 200 : 503)
    return { status: ready ? 'ready' : 'unavailable', standIn: true, shipments: book.size }
  })
}
