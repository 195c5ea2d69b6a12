/** `/labels/:file`: the label as PDF. No key, like the file urls of EasyPost: the name is a secret. */
import type { FastifyInstance } from 'fastify'
import type { Book } from './book.ts'
import { notFound } from './errors.ts'
import { hexOfLabel } from './ids.ts'
import { renderLabel } from './label.ts'
import { LabelShelf } from './label-shelf.ts'

export function registerLabelRoutes(app: FastifyInstance, book: Book): void {
  const shelf = new LabelShelf()

  app.get<{ Params: { file: string } }>('/labels/:file', async (request, reply) => {
    const { file } = request.params
    const shipment = book.findHex(hexOfLabel(file))
    const postage = shipment?.postage
    if (shipment === undefined || postage === undefined) throw notFound()
    await book.written()
    const pdf = await shelf.get(shipment.hex, () => renderLabel(shipment, postage))
    return reply
      .type('application/pdf')
      .header('content-disposition', `inline; filename="${file}"`)
      .header('cache-control', 'private, max-age=86400, immutable')
      .send(pdf)
  })
}
