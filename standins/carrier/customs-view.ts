/** EasyPost's CustomsInfo object with its items. */
import type { Shipment } from './book-entry.ts'
import { isoTime, MODE } from './format.ts'
import { idOf, numberedId } from './ids.ts'
import type { CustomsInfo } from './requests.ts'

/** The customs declaration of a shipment. */
export function customsView(customs: CustomsInfo, shipment: Shipment) {
  const { hex } = shipment
  const times = {
    created_at: isoTime(shipment.createdAtMs),
    updated_at: isoTime(shipment.createdAtMs),
  }
  return {
    id: idOf('cstinfo', hex),
    object: 'CustomsInfo',
    ...times,
    contents_explanation: customs.contents_explanation ?? '',
    contents_type: customs.contents_type ?? null,
    customs_certify: customs.customs_certify,
    customs_signer: customs.customs_signer ?? null,
    eel_pfc: customs.eel_pfc ?? null,
    non_delivery_option: customs.non_delivery_option ?? 'return',
    restriction_comments: customs.restriction_comments ?? null,
    restriction_type: customs.restriction_type ?? 'none',
    mode: MODE,
    declaration: customs.declaration ?? null,
    customs_items: customs.customs_items.map((item, index) => ({
      id: numberedId('cstitem', hex, index),
      object: 'CustomsItem',
      ...times,
      description: item.description,
      hs_tariff_number: item.hs_tariff_number ?? null,
      origin_country: item.origin_country,
      quantity: item.quantity,
      // EasyPost writes money as a decimal string with at least one decimal.
      value: Number.isInteger(item.value) ? item.value.toFixed(1) : String(item.value),
      weight: item.weight,
      code: item.code ?? null,
      mode: MODE,
      manufacturer: null,
      currency: item.currency ?? null,
      eccn: null,
      printed_commodity_identifier: null,
    })),
  }
}
