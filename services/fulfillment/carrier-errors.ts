/**
 * The carrier's refusals in our words. The HTTP status alone does not tell: some of EasyPost's 422
 * leave open whether postage was bought, and those must not end an order.
 * https://docs.easypost.com/docs/errors
 */
import { z } from 'zod'
import {
  type AppError,
  denied,
  internal,
  missing,
  rejected,
  unavailable,
} from '../../platform/errors.ts'

const fieldError = z.union([
  z.object({ field: z.string().catch(''), message: z.string().catch('') }),
  z.string().transform((message) => ({ field: '', message })),
])
const errorBody = z.object({
  error: z.object({
    code: z.string().catch(''),
    message: z.unknown().transform((message) => (typeof message === 'string' ? message : '')),
    errors: z.array(fieldError).catch([]),
  }),
})

/** The purchase may have happened, or may still: only a look at the shipment tells. */
const outcomeUnknown = new Set([
  'SHIPMENT.POSTAGE.NO_RESPONSE',
  'SHIPMENT.POSTAGE.TIMED_OUT',
  'SHIPMENT.PURCHASE.IN_PROGRESS',
])
const refundCodes = /^SHIPMENT\.REFUND\.|^REFUND\./
const again = 'Try again in a few seconds.'
const messageCharactersMax = 300
const retryAfterSecondsMax = 3_600

/**
 * The error for an answer that is not 2xx.
 *
 * Codes: `carrier_unavailable`, `carrier_key_refused`, `carrier_unpaid`, `no_carrier_shipment`,
 * `already_bought`, `refund_refused`, `address_refused`, `no_service`, `carrier_request_refused`.
 */
export function carrierError(status: number, body: unknown, retryAfter: string | null): AppError {
  const parsed = errorBody.safeParse(body)
  const { code, message, errors } = parsed.success
    ? parsed.data.error
    : { code: '', message: '', errors: [] }
  const said = [message, ...errors.map((error) => error.message)].filter(Boolean).join(' ')
  const text = `The carrier refused: ${said || `status ${status}`}`.slice(0, messageCharactersMax)

  if (status === 429 || status === 408 || status >= 500 || outcomeUnknown.has(code)) {
    const retryAfterMs = Math.min(Number(retryAfter) || 0, retryAfterSecondsMax) * 1_000
    return unavailable('carrier_unavailable', `The carrier answered ${status}`, {
      next: again,
      details: { retryAfterMs },
    })
  }
  if (status === 401 || status === 403) {
    return denied('carrier_key_refused', 'The carrier refused our key', {
      next: 'An operator must check CARRIER_API_KEY.',
    })
  }
  if (status === 402) {
    return denied('carrier_unpaid', 'The account with the carrier has no funds', {
      next: 'An operator must top the account up.',
    })
  }
  if (status === 404) return missing('no_carrier_shipment', 'The carrier does not know it')
  if (status === 422) return refusedForGood(code, text, errors)
  return internal('carrier_request_refused', text)
}

function refusedForGood(
  code: string,
  text: string,
  errors: readonly { readonly field: string }[],
): AppError {
  if (code === 'SHIPMENT.POSTAGE.EXISTS') return rejected('already_bought', text)
  if (refundCodes.test(code)) return rejected('refund_refused', text)
  const aboutAddress =
    code.startsWith('ADDRESS.') || errors.some(({ field }) => /^(to_)?address/.test(field))
  if (aboutAddress) {
    return rejected('address_refused', text, { next: 'Correct the address and start a new round.' })
  }
  return rejected('no_service', text, { next: 'Choose another service in a new round.' })
}

/** The error for an answer that never came, or that broke off or made no sense. */
export function carrierSilent(cause: unknown): AppError {
  const late = (cause as { name?: unknown }).name === 'TimeoutError'
  const text = late ? 'The carrier did not answer in time' : 'The carrier cannot be reached'
  return unavailable('carrier_unavailable', text, { next: again, cause })
}
