/**
 * Faults on order: a bounded queue, consumed by the next requests to the named route. They come from
 * the configuration or from `POST /standin/faults`.
 *
 * | kind | what the caller sees | is it done? |
 * |---|---|---|
 * | `status` | 500, 503 or 429 | no |
 * | `status_after_effect` | 500, 503 or 429 | yes |
 * | `reset` | the connection is reset | yes |
 * | `stall` | no answer | no |
 * | `stall_after_effect` | no answer | yes |
 * | `refuse` | 422 SHIPMENT.POSTAGE.FAILURE | no |
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { CarrierError, errorBody, unprocessable } from './errors.ts'

export const FAULTS_MAX = 100
/** A stalled request is dropped after this long, if its caller has not gone before. */
const STALL_MS_MAX = 120_000

export const faultSchema = z.strictObject({
  route: z.enum(['create', 'buy', 'refund', 'rates', 'get', 'address']),
  kind: z.enum(['status', 'status_after_effect', 'reset', 'stall', 'stall_after_effect', 'refuse']),
  status: z.union([z.literal(500), z.literal(503), z.literal(429)]).default(500),
  times: z.int().min(1).max(10_000).default(1),
})
export type Fault = z.output<typeof faultSchema>
export type FaultRoute = Fault['route']

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The name under which faults can be ordered for this route. */
    faultRoute?: FaultRoute
  }
  interface FastifyRequest {
    pendingFault: Fault | undefined
  }
}

export class Faults {
  #queue: Fault[] = []
  readonly #stalled = new Set<() => void>()
  #stopping = false

  constructor(faults: readonly Fault[] = []) {
    for (const fault of faults) this.add(fault)
  }

  /** @throws CarrierError 422 when the queue is full. */
  add(fault: Fault): void {
    if (this.#queue.length >= FAULTS_MAX) {
      throw unprocessable('STANDIN.FAULTS.FULL', `At most ${FAULTS_MAX} faults wait at once.`)
    }
    this.#queue.push({ ...fault })
  }

  /** What is still to come, oldest first. */
  list(): readonly Fault[] {
    return this.#queue.map((fault) => ({ ...fault }))
  }

  clear(): void {
    this.#queue = []
  }

  /** The next fault for this route, used up by one. */
  take(route: FaultRoute): Fault | undefined {
    const fault = this.#queue.find((queued) => queued.route === route)
    if (fault === undefined) return undefined
    fault.times -= 1
    if (fault.times === 0) this.#queue = this.#queue.filter((queued) => queued !== fault)
    return { ...fault }
  }

  /** Resolves when the caller has gone, the server stops, or after two minutes. */
  async stall(request: FastifyRequest): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#stopping || request.raw.socket.destroyed) resolve()
    const timer = setTimeout(resolve, STALL_MS_MAX)
    this.#stalled.add(resolve)
    request.raw.socket.once('close', resolve)
    await promise
    clearTimeout(timer)
    this.#stalled.delete(resolve)
    request.raw.socket.destroy()
  }

  /** Ends every stall, now and from now on, so that the server can stop. */
  release(): void {
    this.#stopping = true
    for (const resolve of this.#stalled) resolve()
  }
}

/** Lets the queue act on every route that has a `faultRoute` in its config. */
export function registerFaults(app: FastifyInstance, faults: Faults): void {
  app.decorateRequest('pendingFault', undefined)

  app.addHook('preHandler', async (request, reply) => {
    const route = request.routeOptions.config.faultRoute
    const fault = route && faults.take(route)
    if (fault === undefined) return
    if (fault.kind === 'status') throw faultError(fault, reply)
    if (fault.kind === 'refuse') throw refusal()
    if (fault.kind === 'stall') {
      reply.hijack()
      await faults.stall(request)
      return
    }
    request.pendingFault = fault
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const fault = request.pendingFault
    if (fault === undefined) return payload
    request.pendingFault = undefined
    if (fault.kind === 'status_after_effect') {
      const error = faultError(fault, reply)
      reply.code(error.status)
      return JSON.stringify(errorBody(error))
    }
    if (fault.kind === 'stall_after_effect') await faults.stall(request)
    else request.raw.socket.resetAndDestroy()
    return payload
  })

  app.addHook('preClose', async () => faults.release())
}

function faultError({ status }: Fault, reply: FastifyReply): CarrierError {
  if (status === 500) {
    return new CarrierError(500, 'INTERNAL_SERVER_ERROR', 'A fault ordered for a test.')
  }
  reply.header('retry-after', '1')
  const code = status === 429 ? 'RATE_LIMITED' : 'SERVICE_UNAVAILABLE'
  return new CarrierError(status, code, 'A fault ordered for a test.')
}

function refusal(): CarrierError {
  return unprocessable(
    'SHIPMENT.POSTAGE.FAILURE',
    'The carrier refuses: a fault ordered for a test.',
  )
}
