/**
 * Every refusal leaves in the vendor's error shape: `{error: {code, message, errors: [{field, message}]}}`.
 * Codes are EasyPost's own where it has one; those of the stand-in alone begin with `STANDIN.`.
 * https://docs.easypost.com/docs/errors
 */

export interface FieldError {
  readonly code?: string
  readonly field: string
  readonly message: string
  readonly suggestion?: string | null
}

/** Thrown by handlers; the error handler of the app turns it into the answer. */
export class CarrierError extends Error {
  readonly status: number
  readonly code: string
  readonly errors: readonly FieldError[]

  constructor(status: number, code: string, message: string, errors: readonly FieldError[] = []) {
    super(message)
    this.name = 'CarrierError'
    this.status = status
    this.code = code
    this.errors = errors
  }
}

/** The JSON body of a refusal. */
export function errorBody(error: Pick<CarrierError, 'code' | 'message' | 'errors'>) {
  return { error: { code: error.code, message: error.message, errors: error.errors } }
}

/** 404: no such route, shipment, rate, tracker or label. */
export function notFound(): CarrierError {
  return new CarrierError(404, 'NOT_FOUND', 'The requested resource could not be found.')
}

/** 422: well-formed, and still not possible. */
export function unprocessable(
  code: string,
  message: string,
  errors: readonly FieldError[] = [],
): CarrierError {
  return new CarrierError(422, code, message, errors)
}

/** 422: this shipment has its postage already; nothing was bought again. */
export function postageExists(): CarrierError {
  return unprocessable('SHIPMENT.POSTAGE.EXISTS', 'Postage already exists for this shipment.')
}
