/** EasyPost's Tracker object: a view of a shipment with postage, so nothing more is stored. */
import type { Shipment } from './book-entry.ts'
import { deliveryDate, isoTime, MODE } from './format.ts'
import { idOf, trackingCode } from './ids.ts'
import { CARRIER } from './rates.ts'

/** `GET /v2/trackers/:id`, for a shipment with postage. */
export function trackerView(shipment: Shipment) {
  const { hex, facts, postage, refundStatus } = shipment
  const boughtAt = isoTime(postage?.boughtAtMs ?? shipment.createdAtMs)
  const status = trackerStatus(shipment)
  const { city = null, state = null, country = null, zip = null } = facts.from_address
  return {
    id: idOf('trk', hex),
    object: 'Tracker',
    mode: MODE,
    tracking_code: trackingCode(hex),
    status,
    status_detail: status === 'cancelled' ? 'cancelled' : 'label_created',
    created_at: boughtAt,
    updated_at: isoTime(shipment.updatedAtMs),
    signed_by: null,
    weight: facts.parcel.weight,
    est_delivery_date:
      refundStatus || !postage
        ? null
        : deliveryDate(postage.boughtAtMs, postage.service.deliveryDays),
    shipment_id: idOf('shp', hex),
    carrier: CARRIER,
    tracking_details: [
      {
        object: 'TrackingDetail',
        message: 'Sample label created; nothing will be collected',
        description: null,
        status: 'pre_transit',
        status_detail: 'label_created',
        datetime: boughtAt,
        source: CARRIER,
        carrier_code: null,
        tracking_location: { object: 'TrackingLocation', city, state, country, zip },
      },
    ],
    fees: [],
    carrier_detail: null,
    finalized: status === 'cancelled',
    is_return: false,
    public_url: null,
  }
}

/** No parcel ever moves: the label is made, and perhaps cancelled when the refund is granted. */
export function trackerStatus({ refundStatus }: Shipment) {
  return refundStatus === 'refunded' ? 'cancelled' : 'pre_transit'
}
