/** The rules of buying: which rate is meant, and when the carrier says no for good. Pure. */
import { isRefusedAtDoor } from './addresses.ts'
import type { Shipment } from './book-entry.ts'
import { notFound, unprocessable } from './errors.ts'
import { parseRateId } from './ids.ts'
import { isDomestic, offersFor, type Service } from './rates.ts'

/**
 * The service a rate id stands for.
 *
 * @throws CarrierError 404 when the rate is not one of this shipment's; 422
 * SHIPMENT.CUSTOMS_INFO.REQUIRED without customs items for a parcel abroad; 422
 * SHIPMENT.POSTAGE.FAILURE when the carrier does not deliver to that address.
 */
export function chooseService(shipment: Shipment, rateId: string): Service {
  const rate = parseRateId(rateId)
  const offer = offersFor(shipment.facts).find(
    ({ serviceIndex }) => serviceIndex === rate?.serviceIndex,
  )
  if (offer === undefined || rate?.hex !== shipment.hex) throw notFound()

  if (!isDomestic(shipment.facts) && !shipment.facts.customs_info?.customs_items.length) {
    throw unprocessable(
      'SHIPMENT.CUSTOMS_INFO.REQUIRED',
      'Customs information is required for this shipment.',
      [{ field: 'customs_info', message: 'needs at least one customs item to leave the US' }],
    )
  }
  if (isRefusedAtDoor(shipment.facts.to_address)) {
    throw unprocessable(
      'SHIPMENT.POSTAGE.FAILURE',
      'Unable to buy postage. The carrier does not deliver to this address.',
      [{ field: 'to_address', message: 'is refused by the carrier' }],
    )
  }
  return offer.service
}
