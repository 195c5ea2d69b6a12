/**
 * One error type for the whole house. `kind` decides what happens next and nothing else does:
 * HTTP status, whether a retry can help, the log level, and what a workflow does with it.
 */

export type ErrorKind = 'invalid' | 'denied' | 'missing' | 'rejected' | 'unavailable' | 'internal'
export type Details = Readonly<Record<string, unknown>>

export const policy = {
  invalid: { status: 400, retry: false, level: 'warn' },
  denied: { status: 403, retry: false, level: 'warn' },
  missing: { status: 404, retry: false, level: 'info' },
  rejected: { status: 409, retry: false, level: 'info' },
  unavailable: { status: 503, retry: true, level: 'warn' },
  internal: { status: 500, retry: true, level: 'error' },
} as const satisfies Record<ErrorKind, { status: number; retry: boolean; level: string }>

/** What travels between processes: no cause, no stack. `next` says what the caller can do. */
export interface WireError {
  readonly kind: ErrorKind
  readonly code: string
  readonly message: string
  readonly next?: string
  readonly details?: Details
}

/** How an error is answered over HTTP where its kind alone does not say. Never leaves the process. */
export interface HttpHints {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

interface Extra {
  readonly next?: string | undefined
  readonly details?: Details | undefined
  readonly http?: HttpHints | undefined
  readonly cause?: unknown
}

/** An error somebody named. Match on `kind` and `code`; `instanceof` fails once it was recorded. */
export class AppError extends Error {
  readonly kind: ErrorKind
  readonly code: string
  readonly next?: string
  readonly details?: Details
  readonly http?: HttpHints

  constructor(kind: ErrorKind, code: string, message: string, extra: Extra = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause })
    this.name = 'AppError'
    this.kind = kind
    this.code = code
    if (extra.next !== undefined) this.next = extra.next
    if (extra.details !== undefined) this.details = extra.details
    if (extra.http !== undefined) this.http = extra.http
  }
}

const make =
  (kind: ErrorKind) =>
  (code: string, message: string, extra?: Extra): AppError =>
    new AppError(kind, code, message, extra)

/** The request is malformed. Sending the same again will not help. */
export const invalid = make('invalid')
/** Token, audience, scope or owner is wrong. */
export const denied = make('denied')
/** No such order, shipment, sku. */
export const missing = make('missing')
/** The business said no. Retrying the same request will not help; the saga compensates. */
export const rejected = make('rejected')
/** Timeout, overload, dependency down. A retry may help. */
export const unavailable = make('unavailable')
/** A bug that nobody named. Its text stays inside. */
export const internal = make('internal')

const bugText = 'Something went wrong on our side'
const bugNext = 'Try again later; if it stays, give the trace id to the operator.'
const kinds = new Set<string>(Object.keys(policy))

/** True for an AppError and for the plain object that a recorded or received one becomes. */
export function isNamed(error: unknown): error is WireError {
  if (typeof error !== 'object' || error === null) return false
  const { kind, code } = error as { kind?: unknown; code?: unknown }
  return typeof kind === 'string' && kinds.has(kind) && typeof code === 'string'
}

/** The named error behind anything thrown. What nobody named becomes `internal` with its cause. */
export function named(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isNamed(error)) return fromWire(error)
  return internal('internal', bugText, { next: bugNext, cause: error })
}

/** Rebuilds an error that came over the wire or out of a record. */
export function fromWire({ kind, code, message, next, details }: WireError): AppError {
  return new AppError(kind, code, message, { next, details })
}

/** The part of an error that callers may see: of a bug, its code alone. */
export function toWire(error: unknown): WireError {
  const { kind, code, message, next, details } = named(error)
  if (kind === 'internal') return { kind, code, message: bugText, next: bugNext }
  return {
    kind,
    code,
    message,
    ...(next === undefined ? {} : { next }),
    ...(details === undefined ? {} : { details }),
  }
}
