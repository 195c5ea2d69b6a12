/**
 * EasyPost's Shipment object, built from the book. Field names, nulls and number formats follow
 * recorded answers of the real API; what the stand-in has no notion of is null there as well.
 */
import { addressFields, addressView } from './address-view.ts'
import type { Shipment } from './book-entry.ts'
import { customsView } from './customs-view.ts'
import { isoTime, MODE, usd } from './format.ts'
import { idOf, labelFile, numberedId, trackingCode } from './ids.ts'
import { rateFields, rateView } from './rate-view.ts'
import { type Offer, offersFor, rateMessages } from './rates.ts'
import type { Facts, Parcel } from './requests.ts'
import { trackerStatus, trackerView } from './tracker-view.ts'

/** `GET /v2/shipments/:id` and the answers of create, buy and refund. */
export function shipmentView(shipment: Shipment, baseUrl: string) {
  const { hex, facts, postage } = shipment
  const times = timesOf(shipment)
  const toAddress = addressView(facts.to_address, numberedId('adr', hex, 0), shipment.createdAtMs)
  const fromAddress = addressView(
    facts.from_address,
    numberedId('adr', hex, 1),
    shipment.createdAtMs,
  )
  const offers = offersFor(facts)
  const bought = offers.find(({ service }) => service === postage?.service)
  return {
    id: idOf('shp', hex),
    object: 'Shipment',
    ...times,
    mode: MODE,
    is_return: false,
    messages: rateMessages(facts),
    options: optionsView(facts),
    reference: facts.reference ?? null,
    status: postage ? trackerStatus(shipment) : 'unknown',
    tracking_code: postage ? trackingCode(hex) : null,
    batch_id: null,
    batch_status: null,
    batch_message: null,
    customs_info: facts.customs_info ? customsView(facts.customs_info, shipment) : null,
    from_address: fromAddress,
    insurance: null,
    order_id: null,
    parcel: { id: idOf('prcl', hex), ...parcelView(facts.parcel), ...times },
    postage_label: postage ? labelView(hex, postage.boughtAtMs, baseUrl) : null,
    rates: offers.map((offer) => rateView(offer, shipment, shipment.createdAtMs)),
    refund_status: shipment.refundStatus,
    scan_form: null,
    selected_rate: bought && postage ? rateView(bought, shipment, postage.boughtAtMs) : null,
    tracker: postage ? trackerView(shipment) : null,
    to_address: toAddress,
    usps_zone: null,
    return_address: fromAddress,
    buyer_address: toAddress,
    forms: [],
    fees: bought ? feesView(bought, shipment) : [],
  }
}

/** `POST /beta/rates`: the same prices, no ids, nothing stored. */
export function statelessRatesView(facts: Facts, atMs: number) {
  return {
    from_address: { object: 'Address', ...addressFields(facts.from_address) },
    to_address: { object: 'Address', ...addressFields(facts.to_address) },
    parcel: parcelView(facts.parcel),
    options: optionsView(facts),
    rates: offersFor(facts).map((offer) => rateFields(offer, atMs)),
    messages: rateMessages(facts),
  }
}

function labelView(hex: string, boughtAtMs: number, baseUrl: string) {
  const at = isoTime(boughtAtMs)
  const url = `${baseUrl}/labels/${labelFile(hex)}`
  return {
    object: 'PostageLabel',
    id: idOf('pl', hex),
    created_at: at,
    updated_at: at,
    date_advance: 0,
    integrated_form: 'none',
    label_date: at,
    label_resolution: 300,
    label_size: '4x6',
    label_type: 'default',
    label_file_type: 'application/pdf',
    label_url: url,
    label_pdf_url: url,
    label_zpl_url: null,
    label_epl2_url: null,
    label_file: null,
  }
}

function feesView({ priceCents }: Offer, { refundStatus }: Shipment) {
  const refunded = refundStatus === 'refunded'
  const fee = (type: string, cents: number) => ({
    object: 'Fee',
    type,
    amount: usd(cents, 5),
    charged: true,
    refunded,
  })
  return [fee('LabelFee', 0), fee('PostageFee', priceCents)]
}

function parcelView({ weight, length, width, height, predefined_package }: Parcel) {
  return {
    object: 'Parcel',
    length: length ?? null,
    width: width ?? null,
    height: height ?? null,
    predefined_package: predefined_package ?? null,
    weight,
    mode: MODE,
  }
}

function optionsView(facts: Facts) {
  return { currency: 'USD', payment: { type: 'SENDER' }, date_advance: 0, ...facts.options }
}

function timesOf({ createdAtMs, updatedAtMs }: Shipment) {
  return { created_at: isoTime(createdAtMs), updated_at: isoTime(updatedAtMs) }
}
