/**
 * What the real API does not have: an audit book for tests and benchmarks, and controls that answer to
 * callers on this machine only.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Book } from './book.ts'
import { CarrierError, notFound } from './errors.ts'
import { FAULTS_MAX, type Faults, faultSchema } from './faults.ts'
import { parse } from './requests.ts'

interface Totals {
  shipments: number
  bought: number
  refundSubmitted: number
  refunded: number
  /** Postage nobody asked to refund; more than one for a reference means it was bought twice. */
  live: number
}

const faultsBody = z.union([
  z.object({ faults: z.array(faultSchema).min(1).max(FAULTS_MAX) }),
  faultSchema.transform((fault) => ({ faults: [fault] })),
])
const bookQuery = z.object({ reference: z.string().max(255).optional() })
const settleBody = z.object({ shipment_id: z.string().max(100).optional() })

export function registerStandinRoutes(app: FastifyInstance, book: Book, faults: Faults): void {
  app.get('/standin/book', async (request) => {
    const { reference } = parse(bookQuery, request.query)
    await book.written()
    return auditBook(book, reference)
  })

  const local = { onRequest: requireLoopback }

  app.get('/standin/faults', local, async () => ({ faults: faults.list() }))

  app.post('/standin/faults', local, async (request, reply) => {
    const { faults: added } = parse(faultsBody, request.body)
    for (const fault of added) faults.add(fault)
    reply.code(201)
    return { faults: faults.list() }
  })

  app.delete('/standin/faults', local, async () => {
    faults.clear()
    return { faults: [] }
  })

  app.post('/standin/refunds', local, async (request) => {
    const { shipment_id: id } = parse(settleBody, request.body ?? {})
    const shipment = id === undefined ? undefined : book.find(id)
    if (id !== undefined && shipment === undefined) throw notFound()
    return { settled: await book.settleRefunds(shipment?.hex) }
  })
}

/** Totals over the book, and per reference in order of first appearance. */
function auditBook(book: Book, only: string | undefined) {
  const totals = newTotals()
  const byReference = new Map<string | null, Totals>()
  for (const { reference, bought, refundStatus } of book.states()) {
    if (only !== undefined && reference !== only) continue
    const own = byReference.get(reference) ?? newTotals()
    byReference.set(reference, own)
    for (const sum of [totals, own]) {
      sum.shipments += 1
      if (bought) sum.bought += 1
      if (refundStatus === 'submitted') sum.refundSubmitted += 1
      if (refundStatus === 'refunded') sum.refunded += 1
      if (bought && refundStatus === null) sum.live += 1
    }
  }
  const references = [...byReference].map(([reference, own]) => ({ reference, ...own }))
  return { standIn: true, totals, references }
}

const newTotals = (): Totals => ({
  shipments: 0,
  bought: 0,
  refundSubmitted: 0,
  refunded: 0,
  live: 0,
})

async function requireLoopback(request: FastifyRequest): Promise<void> {
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  if (address !== '::1' && !address.startsWith('127.')) {
    throw new CarrierError(403, 'FORBIDDEN', 'Test controls answer on loopback only.')
  }
}
