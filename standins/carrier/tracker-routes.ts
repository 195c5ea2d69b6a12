/** `/v2/trackers`: one per bought shipment. Asking again gives the same tracker, as at EasyPost. */
import type { FastifyInstance } from 'fastify'
import type { Book } from './book.ts'
import { notFound, unprocessable } from './errors.ts'
import { hexOfTracker } from './ids.ts'
import { parse, trackerBody } from './requests.ts'
import { trackerView } from './tracker-view.ts'

export function registerTrackerRoutes(app: FastifyInstance, book: Book): void {
  app.post('/v2/trackers', async (request, reply) => {
    const { tracker } = parse(trackerBody, request.body)
    const shipment = book.findTrackingCode(tracker.tracking_code)
    if (shipment === undefined) {
      throw unprocessable('TRACKER.INVALID_TEST_CODE', 'Unable to create tracker.', [
        { field: 'tracking_code', message: 'is not one of the carrier stand-in' },
      ])
    }
    await book.written()
    reply.code(201)
    return trackerView(shipment)
  })

  app.get<{ Params: { id: string } }>('/v2/trackers/:id', async (request) => {
    const shipment = book.findHex(hexOfTracker(request.params.id))
    if (shipment?.postage === undefined) throw notFound()
    await book.written()
    return trackerView(shipment)
  })
}
