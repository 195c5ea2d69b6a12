/** What came back instead of an answer, as the AppError that the server threw or ours about it. */
import { InsufficientScopeError } from '@modelcontextprotocol/client'
import { type AppError, denied, fromWire, invalid, isNamed, named, unavailable } from './errors.ts'

/** The error behind anything that a client of `server` threw. */
export function translate(server: string, cause: unknown): AppError {
  if (isNamed(cause)) return named(cause)
  const told = toldBy(cause)
  if (told !== undefined) return told
  const { status, name, code } = cause as { status?: number; name?: string; code?: unknown }
  if (status === 401 || status === 403 || cause instanceof InsufficientScopeError) {
    return denied('call_refused', `${server} refused our access token`, { cause })
  }
  if (status !== undefined && status >= 400 && status < 500 && status !== 429) {
    return invalid('call_malformed', `${server} refused our request as malformed`, { cause })
  }
  const timedOut = name === 'TimeoutError' || code === 'REQUEST_TIMEOUT'
  return unavailable(
    timedOut ? 'deadline_exceeded' : 'dependency_unavailable',
    timedOut ? `${server} did not answer in time` : `${server} cannot be reached`,
    { next: 'Try again in a few seconds.', details: { dependency: server }, cause },
  )
}

/** Our servers say what is wrong: in the data of a JSON-RPC error, or in the body of an HTTP one. */
function toldBy(cause: unknown): AppError | undefined {
  const { data } = cause as { data?: { text?: unknown } }
  if (isNamed(data)) return fromWire({ ...data, message: String((cause as Error).message) })
  if (typeof data?.text !== 'string') return undefined
  try {
    const body: unknown = JSON.parse(data.text)
    return isNamed(body) ? fromWire(body) : undefined
  } catch {
    return undefined
  }
}
