/**
 * Whose work the code at hand does: an order, a step of its run, a trace. It travels by itself along
 * awaited calls, so that every log line and every exemplar of that work can say so.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

export interface Work {
  readonly traceId?: string
  readonly orderId?: string
  readonly round?: number
  readonly step?: string
  readonly attempt?: number
}

const here = new AsyncLocalStorage<Work>()

/** Runs `work`, and all that it awaits, as part of what is named, besides what it is part of already. */
export function inWork<T>(part: Work, work: () => T): T {
  return here.run({ ...here.getStore(), ...part }, work)
}

/** Runs `work` as nobody's: for what happens to a connection, whoever happened to open it. */
export function outsideWork<T>(work: () => T): T {
  return here.exit(work)
}

/** Empty outside any work, as in a start or a sweep. */
export function currentWork(): Work {
  return here.getStore() ?? {}
}
