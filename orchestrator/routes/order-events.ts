/** `GET /orders/:id/events`: what happens to an order, as server-sent events, resumable. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { AppError } from '../../platform/errors.ts'
import { inWork } from '../../platform/work.ts'
import { assertMayTouch } from '../caller.ts'
import { type OrderEvent, readEvents } from '../order-events.ts'
import { readOrder } from '../order-store.ts'
import type { RouteDeps } from './deps.ts'
import { orderIdOf } from './request-parts.ts'

const batchMax = 100
const keepAliveMs = 15_000
const streamMsMax = 30 * 60_000

export function orderEventsRoute(app: FastifyInstance, deps: RouteDeps): void {
  app.get<{ Params: { id: string } }>('/orders/:id/events', async (request, reply) => {
    const caller = await deps.authenticate(request, 'orders:read')
    const orderId = orderIdOf(request.params)
    const order = await readOrder(deps.pool, orderId)
    assertMayTouch(caller, order, 'orders:read:all')
    if (deps.watch.full) throw tooManyStreams()
    const lastSeen = lastSeenOf(request.headers['last-event-id'])
    reply.hijack()
    const { traceId } = order
    await inWork({ orderId, traceId }, () => streamEvents(deps, reply, orderId, lastSeen))
  })
}

/** Replays what the client has not seen, then follows, until the order ends or the client goes. */
async function streamEvents(
  { pool, watch, draining, log }: RouteDeps,
  reply: FastifyReply,
  orderId: string,
  lastSeen: number,
): Promise<void> {
  const { raw } = reply
  const gone = new AbortController()
  raw.once('close', () => gone.abort())
  // It may have left while the order was read; then nothing tells of its end any more.
  if (raw.destroyed) gone.abort()
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  const keepAlive = setInterval(() => raw.write(': keep-alive\n\n'), keepAliveMs)
  const signal = AbortSignal.any([gone.signal, draining, AbortSignal.timeout(streamMsMax)])
  let seen = lastSeen
  try {
    await watch.until(orderId, signal, async () => {
      // Asked first: an order that had ended by now has its last event among those read next.
      const hasEnded = (await readOrder(pool, orderId)).status !== 'running'
      for (;;) {
        const events = await readEvents(pool, orderId, seen, batchMax)
        for (const event of events) {
          raw.write(format(event))
          seen = event.seq
        }
        // A round that ended may be followed by another, or by a run that was sent on.
        if (events.at(-1)?.type === 'order_finished') return true
        if (events.length < batchMax) break
      }
      return hasEnded || undefined
    })
  } catch (error) {
    log.warn({ err: error }, 'event stream ended by an error; clients resume')
  } finally {
    clearInterval(keepAlive)
    raw.end()
  }
}

/** The number of one of our events; whatever else was sent, the stream starts over. */
const lastSeenOf = (header: unknown): number => {
  const text = typeof header === 'string' ? header : ''
  return /^\d{1,9}$/.test(text) ? Number(text) : 0
}

const format = ({ seq, type, round, at, data }: OrderEvent): string =>
  `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ round, at, ...(data as object) })}\n\n`

const tooManyStreams = () =>
  new AppError('unavailable', 'too_many_streams', 'Too many event streams are open here', {
    next: 'Try again in a few seconds, or poll GET /orders/:id.',
    http: { headers: { 'retry-after': '5' } },
  })
