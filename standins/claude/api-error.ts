/**
 * Errors in the shape of the Messages API: a status, a type and a message, never a stack.
 *
 * The wording is ours where the real text is not known; clients should match on status and type.
 */

const statusByType = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  overloaded_error: 529,
} as const

type ApiErrorType = keyof typeof statusByType

type Extras = {
  readonly details?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  readonly status?: number
}

/** A refusal that reaches the client as `{type: 'error', error: {type, message}, request_id}`. */
export class ApiError extends Error {
  readonly status: number
  readonly type: ApiErrorType
  readonly details: Extras['details']
  readonly headers: Readonly<Record<string, string>>

  constructor(type: ApiErrorType, message: string, extras: Extras = {}) {
    super(message)
    this.type = type
    this.status = extras.status ?? statusByType[type]
    this.details = extras.details
    this.headers = extras.headers ?? {}
  }
}

/** 400 `invalid_request_error`. `details.error_code`, where given, is what the SDK calls `errorCode`. */
export function invalidRequest(message: string, details?: Extras['details']): ApiError {
  return new ApiError('invalid_request_error', message, details === undefined ? {} : { details })
}

/** The error type the real API pairs with a status; statuses it has no type for are `api_error`. */
export function errorTypeOf(status: number): ApiErrorType {
  for (const [type, code] of Object.entries(statusByType)) {
    if (code === status) return type as ApiErrorType
  }
  return status < 500 ? 'invalid_request_error' : 'api_error'
}

/** The JSON body of an error; the same object is the data of a mid-stream `error` event. */
export function errorBody(error: ApiError, requestId: string): Record<string, unknown> {
  const details = error.details === undefined ? {} : { details: error.details }
  return {
    type: 'error',
    error: { type: error.type, message: error.message, ...details },
    request_id: requestId,
  }
}
