/** `POST /orchestrate`: takes an order in and answers with its end, or with where to look. */
import type { FastifyInstance } from 'fastify'
import { invalid } from '../../platform/errors.ts'
import { answerWhenEnded, waitSecondsMax } from '../await-order.ts'
import { idempotencyKey as keySchema } from '../contract.ts'
import { type IntakeDeps, submitOrder } from '../intake.ts'
import { parseOrderRequest } from '../order-request.ts'
import type { RouteDeps } from './deps.ts'

const bodyBytesMax = 64 * 1024
const waitSecondsDefault = 30

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
    const { answer, hasEnded } = await answerWhenEnded(deps, taken, signal)
    return reply
      .code(hasEnded ? 200 : 202)
      .header('location', `/orders/${taken.orderId}`)
      .send(answer)
  })
}

function readKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined
  const parsed = keySchema.safeParse(header)
  if (parsed.success) return `key-${parsed.data}`
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
