/** `/v2/addresses`: checked and given back, never stored (a shipment takes the fields themselves). */
import type { FastifyInstance } from 'fastify'
import { addressView } from './address-view.ts'
import { assertDeliverable } from './addresses.ts'
import { idOf, newHex } from './ids.ts'
import { addressBody, parse } from './requests.ts'

export function registerAddressRoutes(app: FastifyInstance, now: () => number): void {
  const config = { faultRoute: 'address' as const }

  app.post('/v2/addresses', { config }, async (request, reply) => {
    const { address, verify, verify_strict } = parse(addressBody, request.body)
    const strict = (verify_strict ?? address.verify_strict) !== undefined
    if (strict) assertDeliverable(address)
    const verified = strict || (verify ?? address.verify) !== undefined
    reply.code(201)
    return addressView(address, idOf('adr', newHex()), now(), verified)
  })

  app.post('/v2/addresses/create_and_verify', { config }, async (request, reply) => {
    const { address } = parse(addressBody, request.body)
    assertDeliverable(address)
    reply.code(201)
    return { address: addressView(address, idOf('adr', newHex()), now(), true) }
  })
}
