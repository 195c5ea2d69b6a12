/**
 * A workflow's side of the seam on DBOS.
 *
 * What a step throws is recorded as data and comes back as the same AppError on every run, so that
 * a workflow may catch it and go another way. Whatever else is thrown is the engine's: this process
 * has lost the run to another one, or is stopping. Then every later call fails with that same error
 * before it does anything: a workflow that caught it must not undo what its new owner is doing.
 */
import { DBOS } from '@dbos-inc/dbos-sdk'
import { fromWire, toWire, type WireError } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { attribute } from '../../platform/trace-attributes.ts'
import { currentPlace, inSpan, openSpan, type TracePlace } from '../../platform/tracing.ts'
import type { WorkflowContext } from './seam.ts'

const signalPollMs = 1_000

type Recorded<T> = { readonly value: T } | { readonly error: WireError }

/** The context of the run that is being started here and now. */
export function createContext(log: Log): WorkflowContext {
  const runId = DBOS.workflowID ?? ''
  let lost: { readonly error: unknown } | undefined
  let isRecovered = false
  let recovery: TracePlace | undefined

  const engine = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (lost !== undefined) throw lost.error
    try {
      return await operation()
    } catch (error) {
      lost ??= { error }
      throw lost.error
    }
  }

  /** Spans of a run that was taken up again are beneath one that links to the run's own. */
  const recoveredAt = (): TracePlace | undefined => {
    const original = currentPlace()
    if (!isRecovered || original === undefined) return undefined
    if (recovery === undefined) {
      const span = openSpan('recover run', { [attribute.runId]: runId }, { links: [original] })
      // At once: a process that dies again would take an open one along.
      span?.end()
      recovery = span?.place
    }
    return recovery
  }

  const step = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    let isReplayed = true
    const recorded = await engine(() =>
      DBOS.runStep(
        // Not called where the step is on record: a replay makes no spans.
        async (): Promise<Recorded<T>> => {
          isReplayed = false
          try {
            const attributes = { [attribute.step]: name, [attribute.runId]: runId }
            const options = { parent: recoveredAt() }
            return { value: await inSpan(`step ${name}`, attributes, run, options) }
          } catch (error) {
            log.error({ err: error, runId, step: name }, 'step threw')
            return { error: toWire(error) }
          }
        },
        { name },
      ),
    )
    isRecovered ||= isReplayed
    if ('error' in recorded) throw fromWire(recorded.error)
    return recorded.value
  }

  return {
    runId,
    step,
    all: async (steps) => {
      const started = steps.map(([name, run]) => step(name, run))
      const settled = await Promise.allSettled(started)
      const failed = settled.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      return settled.map((result) => (result as PromiseFulfilledResult<unknown>).value) as never
    },
    sleep: (ms) => engine(() => DBOS.sleep(ms)),
    wait: (topic, timeoutMs) => {
      const options = { timeoutSeconds: timeoutMs / 1_000, pollingIntervalMs: signalPollMs }
      return engine(() => DBOS.recv(topic, options))
    },
    patch: (name) => engine(() => DBOS.patch(name)),
    progress: (value) => engine(() => DBOS.setEvent('progress', value)),
  }
}
