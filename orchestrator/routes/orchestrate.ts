/** `POST /orchestrate`: takes an order in and answers with its end, or with where to look. */
import type { FastifyInstance } from 'fastify'
import { invalid } from '../../platform/errors.ts'
import { buildAnswer } from '../answer.ts'
import { type IntakeDeps, submitOrder } from '../intake.ts'
import { parseOrderRequest } from '../order-request.ts'
import { readOrder } from '../order-store.ts'
import type { RouteDeps } from './deps.ts'

const bodyBytesMax = 64 * 1024
const waitSecondsDefault = 30
const waitSecondsMax = 120

export function orchestrateRoute(app: FastifyInstance, deps: RouteDeps & IntakeDeps): void {
  app.post('/orchestrate', { bodyLimit: bodyBytesMax }, async (request, reply) => {
    const caller = await deps.authenticate(request, 'orders:submit')
    const idempotencyKey = readKey(request.headers['idempotency-key'])
    const prefer = readPrefer(request.headers.prefer)
    const taken = await submitOrder(deps, {
      clientId: caller.clientId,
      idempotencyKey,
      request: parseOrderRequest(request.body),
      traceId: request.id,
      preferQueue: prefer.async,
    })

    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const waitMs = prefer.async ? 0 : prefer.waitSeconds * 1_000
    const signal = AbortSignal.any([gone.signal, deps.draining, AbortSignal.timeout(waitMs)])
    const look = async () => {
      const row = await readOrder(deps.pool, taken.orderId)
      return row.status === 'running' ? undefined : row
    }
    const ended = await deps.watch.until(taken.orderId, signal, look, 'order_finished')
    const row = ended ?? (await readOrder(deps.pool, taken.orderId))
    return reply
      .code(ended === undefined ? 202 : 200)
      .header('location', `/orders/${row.orderId}`)
      .send(await buildAnswer(deps.pool, row, deps.answers))
  })
}

function readKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  if (typeof header === 'string' && /^[\x21-\x7e]{1,255}$/.test(header)) return `key-${header}`
  throw invalid('invalid_idempotency_key', 'Idempotency-Key must be 1 to 255 visible characters', {
    next: 'Use a UUID.',
  })
}

/** RFC 7240: `respond-async` and `wait=N`; what is not understood is ignored, as it asks. */
function readPrefer(header: string | string[] | undefined): {
  async: boolean
  waitSeconds: number
} {
  const preferences = String(header ?? '')
    .split(',')
    .map((preference) => preference.trim().toLowerCase())
  const wait = preferences.map((p) => /^wait=(\d{1,6})$/.exec(p)?.[1]).find(Boolean)
  return {
    async: preferences.includes('respond-async'),
    waitSeconds: Math.min(waitSecondsMax, Number(wait ?? waitSecondsDefault)),
  }
}
