/** Starts and drives `fixtures/engine-process.ts`: one live executor each. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import type { Engine } from '../../../orchestrator/engine/seam.ts'

const file = resolve(import.meta.dirname, '../fixtures/engine-process.ts')

/** The tables in which its workflows leave their traces; apply it once to a database. */
export const traceTables = `
  create table ran (n serial, run_id text, step text, pid int);
  create table result (run_id text primary key, value jsonb);
  create table gate (name text primary key)`

type Driven = Pick<Engine, 'start' | 'signal' | 'status' | 'result' | 'progressOf' | 'queued'>

export class EngineProcess implements Driven {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #calls = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message) => {
      if (message === 'ready') return
      const { id, value, error } = message as { id: number; value: unknown; error?: Error }
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(Object.assign(new Error(error.message), error))
    })
    child.on('exit', () => {
      for (const waiting of this.#waiting.values()) waiting.reject(new Error('The process ended'))
    })
  }

  /**
   * Ready when its engine runs. `queueConcurrency`: runs that it takes from the queue at a time;
   * `databaseTimeoutMs`: how long it waits for a statement.
   */
  static async start(
    databaseUrl: string,
    queueConcurrency = 10,
    databaseTimeoutMs = 15_000,
  ): Promise<EngineProcess> {
    const args = [databaseUrl, String(queueConcurrency), String(databaseTimeoutMs)]
    const child = fork(file, args, { stdio: 'inherit' })
    const [message] = await Promise.race([once(child, 'message'), once(child, 'exit')])
    if (message !== 'ready') throw new Error(`The engine process did not start: ${message}`)
    return new EngineProcess(child)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }
  start(name: string, runId: string, input: unknown, dispatch: 'direct' | 'queued'): Promise<void> {
    return this.#call('start', name, runId, input, dispatch)
  }
  signal(runId: string, topic: string, message: unknown, key: string): Promise<void> {
    return this.#call('signal', runId, topic, message, key)
  }
  status(runId: string): ReturnType<Engine['status']> {
    return this.#call('status', runId)
  }
  result(runId: string, timeoutMs: number): Promise<boolean> {
    return this.#call('result', runId, timeoutMs)
  }
  progressOf(runId: string): Promise<unknown> {
    return this.#call('progressOf', runId)
  }
  queued(): Promise<number> {
    return this.#call('queued')
  }
  recovered(): Promise<number> {
    return this.#call('recovered')
  }
  shutdown(drainMs: number): Promise<void> {
    return this.#call('shutdown', drainMs)
  }

  /** SIGKILL: the process has no say in it. Repeating changes nothing. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
  /** Stops the process in its tracks, as a long stall would; `wake` lets it go on. */
  freeze(): void {
    this.#child.kill('SIGSTOP')
  }
  wake(): void {
    this.#child.kill('SIGCONT')
  }

  #call<T>(name: string, ...args: unknown[]): Promise<T> {
    const waiting = Promise.withResolvers<unknown>()
    const id = ++this.#calls
    this.#waiting.set(id, waiting)
    this.#child.send({ id, name, args })
    return waiting.promise as Promise<T>
  }
}
