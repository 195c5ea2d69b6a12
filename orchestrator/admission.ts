/**
 * Which way a new order goes: a run that starts here, the queue that every replica serves, or back to
 * its client. Both ways are bounded; beyond them clients are told when to come again.
 */
import { AppError } from '../platform/errors.ts'
import type { Engine } from './engine/seam.ts'
import type { Flights } from './flights.ts'

export interface AdmissionDeps {
  readonly engine: Engine
  readonly flights: Flights
  /** Runs that this process starts directly; beyond them orders are queued. */
  readonly inFlightMax: number
  /** Orders that may wait in the queue; beyond them callers are told to come back. */
  readonly queueMax: number
  /** Aborted once this process stops: it starts no run any more, others take them from the queue. */
  readonly draining: AbortSignal
}

/**
 * Orders that are being stored and started at a time. Beyond, the database would be waited for by
 * more than it can serve, orders under way included: such a burst is turned away without asking it.
 */
const enteringMax = 64
const retryAfterSecondsMin = 1
const retryAfterSecondsMax = 30

/**
 * Lets an order in. `enter` stores it and starts it that way.
 *
 * @throws unavailable `overloaded` (429, with Retry-After): `enter` was not called.
 */
export async function admit<T>(
  deps: AdmissionDeps,
  preferQueue: boolean,
  enter: (dispatch: 'direct' | 'queued') => Promise<T>,
): Promise<T> {
  const { flights } = deps
  if (flights.entering >= enteringMax) throw overloaded(retryAfterSecondsMin)
  return flights.whileEntering(() => choose(deps, preferQueue, enter))
}

async function choose<T>(
  deps: AdmissionDeps,
  preferQueue: boolean,
  enter: (dispatch: 'direct' | 'queued') => Promise<T>,
): Promise<T> {
  const { engine, flights } = deps
  const mayStartHere = !preferQueue && !deps.draining.aborted
  if (mayStartHere && flights.running < deps.inFlightMax) {
    return flights.during(() => enter('direct'))
  }
  return flights.whileQueueing(async () => {
    const queued = await engine.queued()
    // Those that asked at the same time are counted too, or all of them would fit in the last place.
    if (queued + flights.queueing <= deps.queueMax) return enter('queued')
    throw overloaded(retryAfterSeconds(queued, flights.perSecond()))
  })
}

/** When the present queue will have been worked off, at the pace of this process. */
function retryAfterSeconds(queued: number, perSecond: number): number {
  const seconds = perSecond === 0 ? retryAfterSecondsMin : Math.ceil(queued / perSecond)
  return Math.min(retryAfterSecondsMax, Math.max(retryAfterSecondsMin, seconds))
}

function overloaded(seconds: number): AppError {
  return new AppError('unavailable', 'overloaded', 'Too many orders are waiting', {
    next: `Send the same request again in ${seconds} seconds; nothing was stored.`,
    http: { status: 429, headers: { 'retry-after': String(seconds) } },
  })
}
