/**
 * The seam: everything that a workflow, and those who start one, may know of the durable engine.
 * No type of the engine leaks through it.
 *
 * Code between steps runs again after every crash, so it only rearranges data: no clock, no random,
 * no I/O. What a step returned is recorded once and handed back on every later run.
 */

export interface WorkflowContext {
  readonly runId: string

  /**
   * One durable unit. At least once: a step in flight at a crash runs again, so its effect carries
   * a key of its own. What it throws comes back as the same AppError on every later run.
   *
   * When this process has lost the run, this and every other call here fails with one and the same
   * error before it does anything. Let it pass: the run goes on elsewhere.
   */
  step<T>(name: string, run: () => Promise<T>): Promise<T>

  /**
   * Several single steps at once, the only concurrency there is. They start in the order given and
   * all of them end before this does, so no branch outlives the run.
   */
  all<const S extends readonly StepSpec[]>(steps: S): Promise<StepResults<S>>

  /** A durable wait. After a crash only the rest of it is waited for. */
  sleep(ms: number): Promise<void>

  /** Waits for a signal on `topic`; null when none came in time. */
  wait<T>(topic: string, timeoutMs: number): Promise<T | null>

  /**
   * For a change of workflow code while runs are open: true for a run that has not passed this
   * point yet and takes the new way, false for one that already took the old one. Never remove or
   * rename a step without it.
   */
  patch(name: string): Promise<boolean>

  /** Publishes a value that `Engine.progressOf` reads while the run goes on. */
  progress(value: unknown): Promise<void>
}

export type StepSpec = readonly [name: string, run: () => Promise<unknown>]
type StepResults<S extends readonly StepSpec[]> = {
  -readonly [K in keyof S]: Awaited<ReturnType<S[K][1]>>
}

export type Workflow<I> = (context: WorkflowContext, input: I) => Promise<void>

export type RunState = 'queued' | 'running' | 'done' | 'failed' | 'unknown'

export interface Engine {
  /** Makes a workflow known under its name. Before `launch` only. */
  register<I>(name: string, workflow: Workflow<I>): void
  /** Takes a lease, then begins to run and to take over runs of processes that died. */
  launch(): Promise<void>
  /**
   * Starts a run, directly or through the queue that every replica serves. Idempotent on `runId`:
   * a second start of the same id, in any process, joins the first.
   */
  start(name: string, runId: string, input: unknown, dispatch: 'direct' | 'queued'): Promise<void>
  /** Hands a message to a run's `wait`. Idempotent on `key`. */
  signal(runId: string, topic: string, message: unknown, key: string): Promise<void>
  status(runId: string): Promise<RunState>
  /** The states of many runs; one that was never started is left out. */
  statuses(runIds: readonly string[]): Promise<ReadonlyMap<string, RunState>>
  /** The last value that the run published, or null. */
  progressOf(runId: string): Promise<unknown>
  /** Waits for the end of a run; false when it goes on after `timeoutMs`. */
  result(runId: string, timeoutMs: number): Promise<boolean>
  /** Runs that wait in the queue, all replicas together. */
  queued(): Promise<number>
  /** How long the oldest of them has waited, seconds; 0 when none does. */
  queueAgeSeconds(): Promise<number>
  /** Lets runs end for `drainMs`, then hands the rest on to the other replicas. */
  shutdown(drainMs: number): Promise<void>
}
