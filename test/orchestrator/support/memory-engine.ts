/**
 * A durable engine in memory: it records steps by position, and its process can die at any of them.
 * A run that is started again sees what was recorded, as on the real one.
 */
import type { StepSpec, Workflow, WorkflowContext } from '../../../orchestrator/engine/seam.ts'
import { fromWire, toWire, type WireError } from '../../../platform/errors.ts'

interface Record {
  readonly name: string
  readonly outcome: { value: string | undefined } | { error: WireError }
}

/** The process dies at the step of this position: before it runs, or once it ran, unrecorded. */
export interface Death {
  readonly position: number
  readonly moment: 'before' | 'after'
}

export class MemoryEngine {
  /** What was recorded so far. Cutting it off at the end is a crash in the past. */
  readonly records: Record[] = []

  get names(): string[] {
    return this.records.map(({ name }) => name)
  }

  /**
   * Runs until the workflow ends or the process dies. Then call it again: that is the recovery.
   *
   * @throws Error when the workflow goes another way than its records.
   */
  async run<I>(workflow: Workflow<I>, runId: string, input: I, death?: Death): Promise<boolean> {
    const died = Promise.withResolvers<false>()
    const context = this.#context(runId, death, died)
    const ended = workflow(context, structuredClone(input)).then(() => true)
    return Promise.race([ended, died.promise])
  }

  #context(
    runId: string,
    death: Death | undefined,
    died: PromiseWithResolvers<false>,
  ): WorkflowContext {
    const underWay = new Set<Promise<unknown>>()
    let next = 0
    let isDead = false

    const end = (): Promise<never> => {
      isDead = true
      // Calls that are out arrive, even though nobody hears their answers.
      void Promise.allSettled(underWay).then(() => died.resolve(false))
      return new Promise(() => {})
    }
    const step = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
      const position = next++
      if (isDead) return end()
      const recorded = this.records[position]
      if (recorded !== undefined && recorded.name !== name) {
        died.reject(new Error(`Not deterministic: ${recorded.name} became ${name}`))
        return end()
      }
      if (recorded !== undefined) return replay(recorded)
      const isLast = death?.position === position
      if (isLast && death.moment === 'before') return end()
      const outcome = perform(run)
      underWay.add(outcome)
      const record = { name, outcome: await outcome }
      underWay.delete(outcome)
      if (isDead || isLast) return end()
      this.records[position] = record
      return replay(record)
    }
    return {
      runId,
      step,
      all: async (steps: readonly StepSpec[]) => {
        const settled = await Promise.allSettled(steps.map(([name, run]) => step(name, run)))
        const failed = settled.find(({ status }) => status === 'rejected')
        if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
        return settled.map((result) => (result as PromiseFulfilledResult<unknown>).value) as never
      },
      sleep: () => step('sleep', async () => {}),
      wait: () => step('wait', async () => null),
      patch: async () => true,
      progress: () => step('progress', async () => {}),
    }
  }
}

/** What it returns has gone through JSON, as in a database. */
async function perform(run: () => Promise<unknown>): Promise<Record['outcome']> {
  try {
    return { value: JSON.stringify(await run()) }
  } catch (error) {
    return { error: toWire(error) }
  }
}

function replay<T>({ outcome }: Record): T {
  if ('error' in outcome) throw fromWire(outcome.error)
  return (outcome.value === undefined ? undefined : JSON.parse(outcome.value)) as T
}
