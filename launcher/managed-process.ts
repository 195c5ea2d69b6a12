/** One child process of the platform: started, listened to, ended, startable again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ProcessRecords, signalGroup } from './process-records.ts'
import type { ProcessSpec } from './process-specs.ts'

/** How a process ended, and the last it said (at most 30 lines). */
export interface ProcessExit {
  readonly name: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly lastLines: readonly string[]
}

export interface ProcessHooks {
  readonly records: ProcessRecords
  onLine(name: string, line: string): void
  /** It ended without `stop` or `kill`. */
  onCrash(exit: ProcessExit): void
}

interface Run {
  readonly child: ChildProcess
  readonly ended: Promise<ProcessExit>
  expected: boolean
}

const lastLinesMax = 30
const lineCharsMax = 4_000
const outputGraceMs = 500
const root = fileURLToPath(new URL('..', import.meta.url))

export class ManagedProcess {
  readonly spec: ProcessSpec
  readonly #env: Readonly<Record<string, string>>
  readonly #hooks: ProcessHooks
  #run: Run | undefined

  /** `env` is the whole environment of the child: nothing of ours is added. */
  constructor(spec: ProcessSpec, env: Readonly<Record<string, string>>, hooks: ProcessHooks) {
    this.spec = spec
    this.#env = env
    this.#hooks = hooks
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#run?.child.pid
  }

  /** Resolves when the present run ends, however that happens; undefined while it does not run. */
  get ended(): Promise<ProcessExit> | undefined {
    return this.#run?.ended
  }

  /** Starts it. Does nothing while it runs. */
  start(): void {
    if (this.#run !== undefined) return
    // Its own process group: Ctrl-C in a terminal reaches the launcher only, which ends the
    // others in order, and ending the group ends whatever the process started itself.
    const child = spawn(process.execPath, [this.spec.main], {
      cwd: root,
      env: this.#env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (child.pid !== undefined) this.#hooks.records.add(this.spec.name, child.pid)
    const run: Run = { child, ended: this.#watch(child), expected: false }
    this.#run = run
    void run.ended.then((exit) => {
      this.#run = undefined
      if (child.pid !== undefined) this.#hooks.records.remove(child.pid)
      if (!run.expected) this.#hooks.onCrash(exit)
    })
  }

  /** SIGTERM, and SIGKILL when it has not ended after `graceMs`. Repeating it is harmless. */
  async stop(graceMs: number): Promise<void> {
    const run = this.#run
    if (run?.child.pid === undefined) return
    run.expected = true
    signalGroup(run.child.pid, 'SIGTERM')
    const timeout = new AbortController()
    const late = delay(graceMs, 'late' as const, { signal: timeout.signal }).catch(() => undefined)
    const first = await Promise.race([run.ended, late])
    timeout.abort()
    if (first === 'late') await this.kill()
  }

  /** SIGKILL; resolves once it has ended. */
  async kill(): Promise<void> {
    const run = this.#run
    if (run?.child.pid === undefined) return
    run.expected = true
    signalGroup(run.child.pid, 'SIGKILL')
    await run.ended
  }

  async #watch(child: ChildProcess): Promise<ProcessExit> {
    const lastLines: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
        lastLines.push(line.slice(0, lineCharsMax))
        if (lastLines.length > lastLinesMax) lastLines.shift()
        this.#hooks.onLine(this.spec.name, line)
      })
    }
    // 'close' comes after the last line, but not while a grandchild holds the pipes.
    const closed = once(child, 'close').catch(() => {})
    try {
      const [code, signal] = await once(child, 'exit')
      await Promise.race([closed, delay(outputGraceMs, undefined, { ref: false })])
      return { name: this.spec.name, code, signal, lastLines }
    } catch (error) {
      return { name: this.spec.name, code: null, signal: null, lastLines: [String(error)] }
    }
  }
}
