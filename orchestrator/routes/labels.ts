/**
 * `GET /labels/:key.pdf`: the label that `label.url` names. The key is random and known only to
 * who may read the order, so that a browser can open the link.
 */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { missing } from '../../platform/errors.ts'
import { getShipment } from '../../services/fulfillment/contract.ts'
import { readOrderOfLabel } from '../order-store.ts'
import type { RouteDeps } from './deps.ts'

const callMs = 20_000

export function labelRoute(app: FastifyInstance, deps: RouteDeps): void {
  app.get<{ Params: { file: string } }>('/labels/:file', async (request, reply) => {
    const key = z.uuid().safeParse(request.params.file.replace(/\.pdf$/, ''))
    if (!key.success) throw noLabel()
    const { orderId, round, traceId } = await readOrderOfLabel(deps.pool, key.data)
    const shipment = await deps.fulfillment.call(
      getShipment,
      { orderId, round, withDocument: true },
      { timeoutMs: callMs, traceId, orderId },
    )
    if (shipment.documentBase64 === null) throw noLabel()
    return reply
      .type('application/pdf')
      .header('cache-control', 'private, max-age=300')
      .header('content-disposition', `inline; filename="label-${orderId}.pdf"`)
      .send(Buffer.from(shipment.documentBase64, 'base64'))
  })
}

const noLabel = () => missing('no_such_label', 'There is no such label')
