/**
 * Signals that end the launcher.
 *
 * Ctrl-C arrives twice when npm is in between: the terminal sends it to the whole group, and npm
 * hands its own on. So only a signal some time after the first means "hurry".
 */
const hurryAfterMs = 1_000
const parentPollMs = 250

export interface StopSignals {
  /** Aborted by the first signal. */
  readonly first: AbortSignal
  /** Aborted by a further one, at least a second later. */
  readonly second: AbortSignal
  /** Resolves with the first signal. */
  readonly stopped: Promise<undefined>
}

/**
 * Calls `onGone` when npm goes: a SIGTERM to npm ends the shell between it and us, but not us.
 *
 * Only below npm, where our parent lives as long as the command does.
 */
export function watchNpm(env: NodeJS.ProcessEnv, onGone: () => void): void {
  if (env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    onGone()
  }, parentPollMs)
  timer.unref()
}

/** Takes over SIGINT, SIGTERM and SIGHUP (the terminal was closed) of this process. */
export function stopOnSignals(target: NodeJS.Process = process): StopSignals {
  const [first, second] = [new AbortController(), new AbortController()]
  let firstAt = 0
  const onSignal = () => {
    if (!first.signal.aborted) {
      firstAt = performance.now()
      first.abort()
    } else if (performance.now() - firstAt >= hurryAfterMs) {
      second.abort()
    }
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) target.on(name, onSignal)
  watchNpm(target.env, onSignal)
  // With the terminal gone there is nobody to print for; what is left to do must still be done.
  target.stdout.on('error', () => {})
  target.stderr.on('error', () => {})
  const stopped = new Promise<undefined>((resolve) => {
    first.signal.addEventListener('abort', () => resolve(undefined))
  })
  return { first: first.signal, second: second.signal, stopped }
}
