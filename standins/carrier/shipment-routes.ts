/** `/v2/shipments` and `/beta/rates`: quote, create, buy once, refund, read, list. */
import type { FastifyInstance } from 'fastify'
import type { Book } from './book.ts'
import type { Shipment } from './book-entry.ts'
import { chooseService } from './buying.ts'
import { notFound } from './errors.ts'
import { buyBody, listQuery, parse, shipmentBody } from './requests.ts'
import { shipmentView, statelessRatesView } from './shipment-view.ts'

type ById = { Params: { id: string } }

export interface ShipmentRoutesOptions {
  readonly book: Book
  readonly now: () => number
  /** What label urls begin with. */
  readonly baseUrl: (request: { protocol: string; host: string }) => string
}

export function registerShipmentRoutes(app: FastifyInstance, options: ShipmentRoutesOptions): void {
  const { book, now, baseUrl } = options

  app.post('/beta/rates', { config: { faultRoute: 'rates' } }, async (request) => {
    const { shipment } = parse(shipmentBody, request.body)
    return statelessRatesView(shipment, now())
  })

  app.post('/v2/shipments', { config: { faultRoute: 'create' } }, async (request, reply) => {
    const { shipment: facts } = parse(shipmentBody, request.body)
    const shipment = await book.create(facts)
    reply.code(201)
    return shipmentView(shipment, baseUrl(request))
  })

  app.get<ById>('/v2/shipments/:id', { config: { faultRoute: 'get' } }, async (request) => {
    const shipment = mustFind(book, request.params.id)
    await book.written()
    return shipmentView(shipment, baseUrl(request))
  })

  app.post<ById>('/v2/shipments/:id/buy', { config: { faultRoute: 'buy' } }, async (request) => {
    const shipment = mustFind(book, request.params.id)
    const { rate } = parse(buyBody, request.body)
    // A repeat is told so whatever rate it names.
    const service = shipment.postage?.service ?? chooseService(shipment, rate.id)
    return shipmentView(await book.buy(shipment.hex, service), baseUrl(request))
  })

  app.post<ById>(
    '/v2/shipments/:id/refund',
    { config: { faultRoute: 'refund' } },
    async (request) => {
      const { hex } = mustFind(book, request.params.id)
      return shipmentView(await book.refund(hex), baseUrl(request))
    },
  )

  app.get('/v2/shipments', async (request) => {
    const query = parse(listQuery, request.query)
    const page = book.list({
      beforeId: query.before_id,
      afterId: query.after_id,
      pageSize: query.page_size,
      purchased: query.purchased,
    })
    if (page === undefined) throw notFound()
    await book.written()
    const shipments = page.shipments.map((shipment) => shipmentView(shipment, baseUrl(request)))
    return { shipments, has_more: page.hasMore }
  })
}

function mustFind(book: Book, id: string): Shipment {
  const shipment = book.find(id)
  if (shipment === undefined) throw notFound()
  return shipment
}
