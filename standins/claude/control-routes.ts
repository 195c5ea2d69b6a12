/**
 * Test control, not part of the vendor's API: `/faults`, `/personas` and `/journal`. Loopback callers only.
 *
 * They take no key: whoever can reach the loopback interface of a stand-in may script it.
 */

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ApiError, invalidRequest } from './api-error.ts'
import { faultSchema } from './faults.ts'
import { personaMix, personaNames, personaSeed } from './personas/cast.ts'
import type { Standin } from './standin.ts'

const faultsBody = z.strictObject({
  faults: z.array(faultSchema).max(100),
  seed: z.int().min(0).max(0xffff_ffff).optional(),
})

const personasBody = z.strictObject({ mix: personaMix, seed: personaSeed.optional() })

/** Adds the routes. Callers from elsewhere get 403 `permission_error`. */
export function addControlRoutes(app: FastifyInstance, { faults, journal, cast }: Standin): void {
  const options = { onRequest: loopbackOnly }

  app.get('/faults', options, async () => ({ faults: faults.waiting() }))

  app.post('/faults', options, async ({ body }) => {
    const parsed = faultsBody.safeParse(body)
    if (!parsed.success) throw invalidRequest(z.prettifyError(parsed.error))
    if (parsed.data.seed !== undefined) faults.seed(parsed.data.seed)
    try {
      faults.add(parsed.data.faults)
    } catch (error) {
      throw error instanceof RangeError ? invalidRequest(error.message) : error
    }
    return { faults: faults.waiting() }
  })

  app.delete('/faults', options, async () => {
    faults.clear()
    return { faults: [] }
  })

  const personas = () => ({ names: personaNames, ...cast.state() })

  app.get('/personas', options, async () => personas())

  app.post('/personas', options, async ({ body }) => {
    const parsed = personasBody.safeParse(body)
    if (!parsed.success) throw invalidRequest(z.prettifyError(parsed.error))
    cast.set(parsed.data.mix, parsed.data.seed)
    return personas()
  })

  app.delete('/personas', options, async () => {
    cast.clear()
    return personas()
  })

  app.get('/journal', options, async () => ({
    inFlight: journal.inFlight(),
    entries: journal.entries(),
  }))

  app.delete('/journal', options, async () => {
    journal.clear()
    return { inFlight: journal.inFlight(), entries: [] }
  })
}

async function loopbackOnly(request: FastifyRequest): Promise<void> {
  const address = request.socket.remoteAddress ?? ''
  if (address === '::1' || /^(?:::ffff:)?127\./.test(address)) return
  throw new ApiError(
    'permission_error',
    'The test control of the stand-in answers loopback callers only',
  )
}
