/**
 * One run of one order and round: its steps, with their retries, events and reverse. A step's
 * outcome is recorded as data, failures included, so a replay sees exactly what the run saw.
 */
import { databaseFault, type Pool } from '../../platform/db.ts'
import { AppError, fromWire, named, policy, toWire, type WireError } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { type RetryPolicy, withRetry } from '../../platform/resilience.ts'
import { failSpan } from '../../platform/tracing.ts'
import { inWork } from '../../platform/work.ts'
import type { WorkflowContext } from '../engine/seam.ts'
import { appendEvents, type NewEvent, readStepReport, type StepReport } from '../order-events.ts'
import type { Phase } from '../order-store.ts'

export interface RunDeps {
  readonly pool: Pool
  readonly log: Log
  /** The one retry layer of a call: attempts and backoff inside a step. */
  readonly retry: RetryPolicy
}

/** Backoff between rounds of a step that must get through: after the pivot, and undo. */
export interface Patience {
  readonly roundsMax: number
  readonly waitMinMs: number
  readonly waitMaxMs: number
}

export interface OrderKey {
  readonly orderId: string
  readonly round: number
}

/** Before the keys of a run's events: a resumed run tells its steps anew. */
export const eventPrefix = (round: number, resume: number): string =>
  resume === 0 ? String(round) : `${round}.${resume}`

/** One durable unit: where it goes, and the call itself. */
export interface OrderStep<T> {
  readonly name: string
  readonly service: string
  readonly tool: string
  readonly run: (attempt: number) => Promise<T>
  /** An agent or the carrier works on it: its start is an event too, so that who watches sees it begin. */
  readonly isLong?: boolean
  /** An agent of a service answers: out of time, it is not asked again. */
  readonly isAgent?: boolean
  /** False: what it did is told with what follows from it, see `tellAtEnd`. */
  readonly isTold?: boolean
}

export type StepOutcome<T> = { ok: true; value: T } | { ok: false; error: WireError }
type StepOutcomes<S extends readonly OrderStep<unknown>[]> = {
  -readonly [K in keyof S]: StepOutcome<Awaited<ReturnType<S[K]['run']>>>
}

/** Our own Postgres is waited for, minutes long: without it nothing can be recorded anyway. */
const ownDatabaseRetry: RetryPolicy = { attemptsMax: 600, backoffMinMs: 100, backoffMaxMs: 1_000 }
/** What it refuses while it is there is tried again in case it was chance. */
const refusalsMax = 3
const notAborted = new AbortController().signal

export class OrderRun {
  readonly #context: WorkflowContext
  readonly #deps: RunDeps
  readonly #key: OrderKey
  readonly #patience: Patience
  /** Which run of its round this is: 0, then one more for each resume. */
  readonly resume: number
  readonly #undo: OrderStep<unknown>[] = []
  #phase: Phase = 'open'
  #untold: StepReport | undefined

  constructor(
    context: WorkflowContext,
    deps: RunDeps,
    key: OrderKey,
    patience: Patience,
    resume = 0,
  ) {
    this.#context = context
    this.#deps = deps
    this.#key = key
    this.#patience = patience
    this.resume = resume
  }

  /** Registers the reverse of an effect. Call it before the effect: a timeout does not say. */
  pushUndo(step: OrderStep<unknown>): void {
    this.#undo.push(step)
  }

  /** What a step without a report of its own did; undefined once another report includes it. */
  tellAtEnd(report: StepReport | undefined): void {
    this.#untold = report
  }

  get untold(): StepReport | undefined {
    return this.#untold
  }

  /** @throws AppError that the step failed with, after its attempts. */
  async step<T>(step: OrderStep<T>): Promise<T> {
    return unwrap(await this.attempt(step))
  }

  /** Like `step`, with the failure as data. */
  async attempt<T>(step: OrderStep<T>): Promise<StepOutcome<T>> {
    return this.#context.step(step.name, () => this.#perform(step, step.name, true))
  }

  /** Like `attempt`, also when a cancel was asked for, with a write to our own database after it. */
  async attemptThen<T>(step: OrderStep<T>, write: () => Promise<void>): Promise<StepOutcome<T>> {
    return this.#context.step(step.name, async () => {
      const outcome = await this.#perform(step, step.name, false)
      await patiently(write)
      return outcome
    })
  }

  /** A write to our own database that is recorded as done; asked patiently, it is never refused. */
  async record<T>(name: string, write: () => Promise<T>): Promise<T> {
    return this.#context.step(name, () => patiently(write))
  }

  /**
   * Several quick calls at once as one durable unit: at most one of them has an effect, and all are
   * safe to repeat. Failures are data: what one of them found is known though another failed.
   */
  async together<const S extends readonly OrderStep<unknown>[]>(
    name: string,
    steps: S,
  ): Promise<StepOutcomes<S>> {
    const outcomes = await this.#context.step(name, () =>
      Promise.all(steps.map((step) => this.#perform(step, step.name, true))),
    )
    return outcomes as never
  }

  /** Several single steps at once. Waits for all of them, also when one fails; failures are data. */
  async all<const S extends readonly OrderStep<unknown>[]>(steps: S): Promise<StepOutcomes<S>> {
    // One event write tells of the start of all; whichever runs first makes it.
    let told: Promise<void> | undefined
    const tellStart = () => {
      told ??= this.#tellStart(steps)
      return told
    }
    const specs = steps.map(
      (step) => [step.name, () => this.#perform(step, step.name, true, tellStart)] as const,
    )
    return (await this.#context.all(specs)) as never
  }

  /**
   * A step that must get through: round after round with growing waits. Only what a retry can help
   * is tried again; a refusal for good, or the end of patience, is the outcome.
   */
  async persist<T>(step: OrderStep<T>): Promise<StepOutcome<T>> {
    const { roundsMax, waitMinMs, waitMaxMs } = this.#patience
    for (let round = 1; ; round++) {
      const key = round === 1 ? step.name : `${step.name}#${round}`
      const outcome = await this.#context.step(key, () => this.#perform(step, key, false))
      const again = !outcome.ok && isPassing(outcome.error) && round < roundsMax
      if (!again) return outcome
      await this.#context.sleep(Math.min(waitMaxMs, waitMinMs * 2 ** (round - 1)))
    }
  }

  /** Undoes everything that was pushed, newest first. The first that cannot be undone is returned. */
  async compensate(): Promise<WireError | undefined> {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      const outcome = await this.persist(step)
      if (!outcome.ok) return outcome.error
    }
    return undefined
  }

  /** Runs the attempts of a step and writes its events. Never throws for what the step does. */
  async #perform<T>(
    step: OrderStep<T>,
    key: string,
    cancellable: boolean,
    tellStart = () => this.#tellStart([step]),
  ): Promise<StepOutcome<T>> {
    const { name, service, tool } = step
    const startedAt = performance.now()
    await tellStart()
    let attempts = 0
    let outcome: StepOutcome<T>
    try {
      if (cancellable && this.#phase === 'cancelling') throw cancelledByClient()
      const value = await withRetry(
        this.#deps.retry,
        notAborted,
        (attempt) => {
          attempts = attempt
          return inWork({ step: name, attempt }, () => step.run(attempt))
        },
        (error, attempt) => {
          this.#logFailure(name, error, attempt)
          // The agent retried what it could within that time: attempts would multiply.
          if (step.isAgent === true && error.code === 'deadline_exceeded') throw error
        },
      )
      outcome = { ok: true, value }
    } catch (cause) {
      outcome = { ok: false, error: toWire(cause) }
      failSpan(outcome.error.code)
    }
    const report: StepReport = {
      name,
      service,
      tool,
      attempts,
      durationMs: Math.round(performance.now() - startedAt),
      ...describe(outcome),
    }
    if (step.isTold === false) return outcome
    const isNew = await this.#events([{ type: 'step_finished', key, data: report }])
    return isNew ? outcome : this.#told(key)
  }

  async #tellStart(steps: readonly OrderStep<unknown>[]): Promise<void> {
    const long = steps.filter((step) => step.isLong && step.isTold !== false)
    const started = long.map(({ name, service, tool }) => ({
      type: 'step_started' as const,
      key: name,
      data: { name, service, tool },
    }))
    if (started.length > 0) await this.#events(started)
  }

  /** Every event that is written tells the phase as of then: so a run learns of a cancel. */
  async #events(events: readonly Pick<NewEvent, 'type' | 'key' | 'data'>[]): Promise<boolean> {
    const keyed = events.map((e) => ({ ...e, key: this.#eventKey(e.type, e.key) }))
    const source = { ...this.#key, resume: this.resume }
    const append = () => appendEvents(this.#deps.pool, source, keyed)
    const { phase, isNew } = await patiently(append)
    this.#phase = phase
    return isNew
  }

  /** The process died once this step was told of and before it was recorded: what was told counts. */
  async #told<T>(key: string): Promise<StepOutcome<T>> {
    const eventKey = this.#eventKey('step_finished', key)
    const read = () => readStepReport(this.#deps.pool, this.#key.orderId, eventKey)
    const { result, error, agent } = await patiently(read)
    if (error !== undefined) return { ok: false, error }
    return { ok: true, value: (agent === undefined ? result : { ...Object(result), agent }) as T }
  }

  #eventKey(type: NewEvent['type'], key: string): string {
    return `${eventPrefix(this.#key.round, this.resume)}:${key}:${type}`
  }

  #logFailure(step: string, error: AppError, attempt: number): void {
    const fields = { ...this.#key, step, attempt, code: error.code, err: error.cause ?? error }
    this.#deps.log[policy[error.kind].level](fields, 'step attempt failed')
  }
}

/** @throws AppError that the step failed with. */
export function unwrap<T>(outcome: StepOutcome<T>): T {
  if (outcome.ok) return outcome.value
  throw fromWire(outcome.error)
}

/** Tries for as long as our own Postgres is away. */
function patiently<T>(query: () => Promise<T>): Promise<T> {
  const attempt = () =>
    query().catch((cause: unknown) => {
      throw databaseFault(cause)
    })
  return withRetry(ownDatabaseRetry, notAborted, attempt, (error, times) => {
    if (error.kind !== 'unavailable' && times >= refusalsMax) throw error
  })
}

export const cancelledByClient = () =>
  new AppError('rejected', 'cancelled_by_client', 'The client cancelled the order')

/** True when trying again later can help. */
const isPassing = ({ kind }: WireError) =>
  // `denied` too: skewed clocks or a key on its way make a token of ours wrong for a while.
  kind === 'unavailable' || kind === 'internal' || kind === 'denied'

type Described = Pick<StepReport, 'state' | 'result' | 'error' | 'agent'>

/** Takes the agent's record out of the result: the answer shows it beside, not within. */
function describe(outcome: StepOutcome<unknown>): Described {
  if (!outcome.ok) return { state: 'failed', result: null, error: outcome.error }
  if (typeof outcome.value !== 'object' || outcome.value === null) {
    return { state: 'done', result: outcome.value }
  }
  const { agent, ...result } = outcome.value as { agent?: StepReport['agent'] | null }
  return { state: 'done', result, ...(agent === undefined || agent === null ? {} : { agent }) }
}

/** The error behind anything that a run threw, as data. */
export const failureOf = (cause: unknown): WireError => toWire(named(cause))
