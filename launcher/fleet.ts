/** All processes of the platform together: start, readiness, crashes, stop. */
import { setTimeout as delay } from 'node:timers/promises'
import { LauncherError } from './launcher-error.ts'
import { ManagedProcess, type ProcessExit } from './managed-process.ts'
import { ProcessRecords } from './process-records.ts'
import type { ProcessSpec } from './process-specs.ts'
import { untilReady } from './readiness.ts'

export interface FleetOptions {
  readonly specs: readonly ProcessSpec[]
  readonly recordsFile: string
  /** The whole environment of a process. */
  envOf(spec: ProcessSpec): Readonly<Record<string, string>>
  /** How often a process that crashed is started again, within `calmMs`; 0 = never. */
  readonly restartsMax: number
  onLine(name: string, line: string): void
  say(message: string): void
}

const readyTimeoutMs = 60_000
const restartDelayMs = 500
/** A process that ran this long has its restarts back. */
const calmMs = 60_000

export class Fleet {
  /** The first crash that is not followed by a restart. Pending for ever in a healthy run. */
  readonly exited: Promise<ProcessExit>
  readonly #processes: ReadonlyMap<string, ManagedProcess>
  readonly #options: FleetOptions
  readonly #stopping = new AbortController()
  /** Aborted by the first crash before all were up. */
  readonly #startFailed = new AbortController()
  readonly #crashes = new Map<string, number[]>()
  #isUp = false
  #reportExit: (exit: ProcessExit) => void = () => {}

  constructor(options: FleetOptions) {
    this.#options = options
    const records = new ProcessRecords(options.recordsFile)
    const { onLine } = options
    const hooks = { records, onLine, onCrash: (exit: ProcessExit) => void this.#afterCrash(exit) }
    this.#processes = new Map(
      options.specs.map((spec) => [
        spec.name,
        new ManagedProcess(spec, options.envOf(spec), hooks),
      ]),
    )
    this.exited = new Promise((resolve) => {
      this.#reportExit = resolve
    })
  }

  /** Name and pid of those that run. */
  get running(): { name: string; pid: number }[] {
    return [...this.#processes].flatMap(([name, { pid }]) =>
      pid === undefined ? [] : { name, pid },
    )
  }

  /**
   * Starts all at once and waits until each is ready.
   *
   * @throws LauncherError `process_not_ready` with the last lines of the first that ended or was
   * not ready after 60 s; the signal's reason on abort. The others keep running: stop them.
   */
  async startAll(signal: AbortSignal): Promise<void> {
    for (const managed of this.#processes.values()) managed.start()
    const either = AbortSignal.any([signal, this.#startFailed.signal])
    try {
      await Promise.all([...this.#processes.values()].map((m) => this.#ready(m, either)))
    } catch (error) {
      this.#startFailed.abort(error) // nobody waits for the others any more
      throw error
    }
    either.throwIfAborted()
    this.#isUp = true
  }

  /** Starts one that was killed, on its port, and waits until it is ready (60 s). */
  async start(name: string): Promise<void> {
    const managed = this.#get(name)
    managed.start()
    await this.#ready(managed, this.#stopping.signal)
  }

  /** SIGKILL, as a crash would be, but never followed by a restart. */
  async kill(name: string): Promise<void> {
    await this.#get(name).kill()
  }

  /** SIGTERM to one, as a rolling restart would; how it ended. SIGKILL after `graceMs`. */
  async terminate(name: string, graceMs: number): Promise<ProcessExit | undefined> {
    const managed = this.#get(name)
    const { ended } = managed
    await managed.stop(graceMs)
    return ended
  }

  /** SIGTERM to all at once, SIGKILL for what is left after `graceMs`. */
  async stopAll(graceMs: number): Promise<void> {
    this.#stopping.abort()
    await Promise.all([...this.#processes.values()].map((managed) => managed.stop(graceMs)))
  }

  async #ready(managed: ManagedProcess, signal: AbortSignal): Promise<void> {
    const { name, port } = managed.spec
    const since = performance.now()
    const over = new AbortController()
    const ended = managed.ended?.then((exit) => {
      throw new LauncherError('process_not_ready', describeExit(exit))
    })
    const ready = untilReady(
      `http://127.0.0.1:${port}`,
      readyTimeoutMs,
      AbortSignal.any([signal, over.signal]),
    ).catch((error: Error) => {
      if (signal.aborted) throw signal.reason
      throw new LauncherError('process_not_ready', `${name} is ${error.message}`, error)
    })
    try {
      await Promise.race([ready, ended ?? Promise.reject(new Error(`${name} does not run`))])
    } finally {
      over.abort()
      ready.catch(() => {})
      ended?.catch(() => {})
    }
    this.#options.say(`${name} is ready (${((performance.now() - since) / 1_000).toFixed(1)} s)`)
  }

  async #afterCrash(exit: ProcessExit): Promise<void> {
    if (this.#stopping.signal.aborted) return
    if (!this.#isUp) {
      this.#startFailed.abort(new LauncherError('process_not_ready', describeExit(exit)))
      return
    }
    const { restartsMax, say } = this.#options
    const now = Date.now()
    const recent = (this.#crashes.get(exit.name) ?? []).filter((at) => now - at < calmMs)
    this.#crashes.set(exit.name, [...recent, now])
    if (recent.length >= restartsMax) return this.#reportExit(exit)
    const waitMs = restartDelayMs * 2 ** recent.length
    const nth = `restart ${recent.length + 1} of ${restartsMax}`
    say(`${describeExit(exit)}\n${exit.name}: ${nth} in ${waitMs / 1_000} s`)
    await delay(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => {})
    if (this.#stopping.signal.aborted) return
    const managed = this.#get(exit.name)
    managed.start()
    // Another crash comes back here by itself.
    await this.#ready(managed, this.#stopping.signal).catch(() => {})
  }

  #get(name: string): ManagedProcess {
    const managed = this.#processes.get(name)
    if (managed !== undefined) return managed
    const known = [...this.#processes.keys()].join(', ')
    throw new LauncherError('unknown_process', `No process "${name}"; there are ${known}`)
  }
}

/** One line on how it ended, then the last lines it printed. */
export function describeExit({ name, code, signal, lastLines }: ProcessExit): string {
  const how = signal === null ? `with code ${code}` : `by ${signal}`
  return [`${name} ended ${how}. Its last lines:`, ...lastLines.map((l) => `  ${l}`)].join('\n')
}
