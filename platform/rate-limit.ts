/** How many requests a client may make of one process: a token bucket for each client. */
import { AppError } from './errors.ts'

const clientsMax = 10_000

export type Admit = (clientId: string) => void

interface Bucket {
  left: number
  atMs: number
}

/**
 * Lets a client make `perSecond` requests, and `burst` at once after a quiet time.
 *
 * @throws unavailable `rate_limited` (429, with Retry-After): nothing was done.
 */
export function createRateLimit(
  perSecond: number,
  burst: number,
  // Not the wall clock: set back, it would lock everybody out.
  now = () => performance.now(),
): Admit {
  const buckets = new Map<string, Bucket>()
  return (clientId) => {
    const atMs = now()
    const known = buckets.get(clientId)
    const earned = known === undefined ? burst : ((atMs - known.atMs) / 1_000) * perSecond
    const left = Math.min(burst, (known?.left ?? 0) + earned)
    buckets.delete(clientId)
    if (buckets.size >= clientsMax) forgetOldest(buckets)
    buckets.set(clientId, { left: left >= 1 ? left - 1 : left, atMs })
    if (left >= 1) return
    const retryAfter = Math.max(1, Math.ceil((1 - left) / perSecond))
    throw new AppError('unavailable', 'rate_limited', 'Too many requests of this client', {
      next: `Try again in ${retryAfter} s; at most ${perSecond} a second are served.`,
      http: { status: 429, headers: { 'retry-after': String(retryAfter) } },
    })
  }
}

/** The map keeps its entries in the order of their last use. */
function forgetOldest(buckets: Map<string, Bucket>): void {
  const [oldest] = buckets.keys()
  if (oldest !== undefined) buckets.delete(oldest)
}
