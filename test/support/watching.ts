/** A watch of a resource that keeps what it was given. */
import { createLog } from '../../platform/log.ts'
import { type WatchOptions, watchResource } from '../../platform/mcp-watch.ts'

export interface Watching<T> {
  /** Every value, oldest first. */
  readonly values: readonly T[]
  /** Ends when the watch does, and rejects when it was refused. */
  readonly done: Promise<void>
  stop(): Promise<void>
}

/** Begins to watch; comes back quickly. */
export function startWatching<T>(
  options: Pick<WatchOptions, 'baseUrl' | 'authorize' | 'contract' | 'variables'>,
): Watching<T> {
  const stopping = new AbortController()
  const values: T[] = []
  const done = watchResource({
    ...options,
    server: 'test',
    signal: stopping.signal,
    log: createLog('test', 'silent'),
    backoff: { backoffMinMs: 10, backoffMaxMs: 100 },
    onValue: (value) => {
      values.push(value as T)
    },
  })
  // Tests that expect a refusal await `done`; elsewhere `stop` does.
  done.catch(() => {})
  return {
    values,
    done,
    stop: () => {
      stopping.abort()
      return done
    },
  }
}
