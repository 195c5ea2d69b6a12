/**
 * A client of the EasyPost v2 REST API, and of the carrier stand-in, which speaks the same. Every
 * call has a deadline and runs behind a circuit breaker. Only safe reads are retried: whether a
 * write that broke off happened is for the caller to find out, by reading.
 */
import type { z } from 'zod'
import { AppError, unavailable } from '../../platform/errors.ts'
import { readLimited } from '../../platform/limited-body.ts'
import {
  type BreakerState,
  CircuitBreaker,
  deadline,
  type RetryPolicy,
  withRetry,
} from '../../platform/resilience.ts'
import {
  type AddressCheck,
  type CarrierShipment,
  carrierShipment,
  type Quote,
  quote,
  verifiedAddress,
} from './carrier-answers.ts'
import { carrierError, carrierSilent } from './carrier-errors.ts'
import { carrierAddress, type Parcel, shipmentBody, type Warehouse } from './carrier-request.ts'
import type { Address } from './shipment-rules.ts'

const breakerFailuresMax = 8
const breakerOpenMs = 3_000
const answerBytesMax = 2 * 1024 * 1024
const pdfMark = '%PDF-'

/**
 * Every function throws AppErrors, with the codes of carrier-errors.ts. After `unavailable` from a
 * write it is unknown whether it happened.
 */
export interface CarrierClient {
  /** Whether the carrier can deliver there. */
  verifyAddress(shipTo: Address, signal: AbortSignal): Promise<AddressCheck>
  /** Prices for a parcel; nothing is kept at the carrier. */
  quoteRates(parcel: Parcel, signal: AbortSignal): Promise<Quote>
  /** Adds a shipment, which costs nothing. Repeating adds another one. */
  createShipment(parcel: Parcel, reference: string): Promise<CarrierShipment>
  getShipment(id: string): Promise<CarrierShipment>
  /** Buys postage. The carrier refuses a second purchase with `already_bought`. */
  buy(id: string, rateId: string): Promise<CarrierShipment>
  /** Asks for the money back; the answer comes days later. */
  requestRefund(id: string): Promise<CarrierShipment>
  /** The label as PDF, from wherever the carrier keeps it. */
  downloadLabel(url: string): Promise<Buffer>
}

export interface CarrierOptions {
  /** Without a trailing slash: `https://api.easypost.com`. */
  readonly url: string
  readonly apiKey: string
  /** Where labels may be, besides at the carrier's own address. */
  readonly labelOrigins: readonly string[]
  readonly warehouse: Warehouse
  /** One call, milliseconds. */
  readonly timeoutMs: number
  /** For safe reads. */
  readonly retry: RetryPolicy
  readonly onBreakerChange?: (state: BreakerState) => void
}

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: object
  readonly signal?: AbortSignal
}

export function createCarrierClient(options: CarrierOptions): CarrierClient {
  const { warehouse, timeoutMs } = options
  const { onBreakerChange: onChange } = options
  const limits = { failuresMax: breakerFailuresMax, openMs: breakerOpenMs }
  const breaker = new CircuitBreaker('The carrier', { ...limits, ...(onChange && { onChange }) })
  const labelBreaker = new CircuitBreaker("The carrier's label store", limits)
  const authorization = `Basic ${Buffer.from(`${options.apiKey}:`).toString('base64')}`

  const send = <S extends z.ZodType>(schema: S, call: Call): Promise<z.output<S>> =>
    breaker.run(async () => {
      const { status, headers, bytes } = await exchange(`${options.url}${call.path}`, {
        method: call.method,
        headers: { authorization, accept: 'application/json', 'content-type': 'application/json' },
        ...(call.method === 'POST' ? { body: JSON.stringify(call.body ?? {}) } : {}),
        signal: deadline(timeoutMs, call.signal),
      })
      const body = parseJson(bytes)
      if (status >= 300) throw carrierError(status, body, headers.get('retry-after'))
      return readAnswer(schema, body)
    })

  const read = <S extends z.ZodType>(schema: S, call: Call): Promise<z.output<S>> =>
    withRetry(options.retry, call.signal ?? deadline(timeoutMs), () => send(schema, call))

  const shipmentPath = (id: string) => `/v2/shipments/${encodeURIComponent(id)}`

  return {
    verifyAddress: async (shipTo, signal) => {
      const body = { address: carrierAddress(shipTo), verify: true }
      return send(verifiedAddress, { method: 'POST', path: '/v2/addresses', body, signal }).catch(
        refusedAddress,
      )
    },
    quoteRates: (parcel, signal) => {
      const body = shipmentBody(warehouse, parcel)
      return read(quote, { method: 'POST', path: '/beta/rates', body, signal }).catch(refusedQuote)
    },
    createShipment: (parcel, reference) => {
      const body = shipmentBody(warehouse, parcel, reference)
      return send(carrierShipment, { method: 'POST', path: '/v2/shipments', body })
    },
    getShipment: (id) => read(carrierShipment, { method: 'GET', path: shipmentPath(id) }),
    buy: (id, rateId) => {
      const body = { rate: { id: rateId } }
      return send(carrierShipment, { method: 'POST', path: `${shipmentPath(id)}/buy`, body })
    },
    requestRefund: (id) =>
      send(carrierShipment, { method: 'POST', path: `${shipmentPath(id)}/refund` }),
    downloadLabel: async (url) => {
      assertLabelOrigin(url, options)
      return labelBreaker.run(() => download(url, timeoutMs))
    },
  }
}

/**
 * The address comes from outside: followed blindly, it could name anything that this process reaches.
 *
 * @throws unavailable `label_host_refused`.
 */
function assertLabelOrigin(label: string, { url, labelOrigins }: CarrierOptions): void {
  const origin = URL.parse(label)?.origin ?? 'none'
  if (origin === new URL(url).origin || labelOrigins.includes(origin)) return
  throw unavailable(
    'label_host_refused',
    'The label is where the carrier is not known to keep any',
    {
      next: 'If the carrier moved its labels, name the origin in CARRIER_LABEL_ORIGINS.',
      details: { origin },
    },
  )
}

/** The label's address is not the API: our key must not travel there. */
async function download(url: string, timeoutMs: number): Promise<Buffer> {
  const { status, bytes } = await exchange(url, {
    ...{ method: 'GET', redirect: 'error', signal: deadline(timeoutMs) },
  })
  if (status !== 200 || bytes.toString('latin1', 0, pdfMark.length) !== pdfMark) {
    throw unavailable('label_unavailable', 'The carrier does not hand out the label just now', {
      next: 'Try again in a few seconds.',
    })
  }
  return bytes
}

async function exchange(
  url: string,
  init: RequestInit,
): Promise<{ status: number; headers: Headers; bytes: Buffer }> {
  try {
    const response = await fetch(url, init)
    const { status, headers } = response
    return { status, headers, bytes: await readLimited(response, answerBytesMax) }
  } catch (cause) {
    throw carrierSilent(cause)
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function readAnswer<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw carrierSilent(parsed.error)
}

/** An address so wrong that the carrier will not even look it up is an address it does not find. */
function refusedAddress(cause: unknown): AddressCheck {
  if (cause instanceof AppError && cause.code === 'address_refused') {
    return { deliverable: false, problems: [cause.message] }
  }
  throw cause
}

/** A parcel that the carrier will not rate is a parcel without offers. */
function refusedQuote(cause: unknown): Quote {
  if (cause instanceof AppError && cause.kind === 'rejected') {
    return { rates: [], messages: [cause.message] }
  }
  throw cause
}
