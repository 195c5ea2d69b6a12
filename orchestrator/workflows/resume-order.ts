/**
 * One more run of a round that did not come to its end, or whose held end a person changes.
 *
 *     forward   generate_label ▶ commit_stock ▶ close_order        what is done already is found done
 *     back      void_label ▶ release_stock ▶ close_order           succeeds where nothing was done
 *     back      close_order                                        of a held end: it was undone then
 *
 * Which way was decided by the order's row, before this run was asked for.
 */
import { voidLabel } from '../../services/fulfillment/contract.ts'
import { releaseStock } from '../../services/inventory/contract.ts'
import type { Workflow } from '../engine/seam.ts'
import type { StoredEnding, Warning } from '../outcome.ts'
import { createCalls } from './calls.ts'
import type { FinalDecision } from './decide-rules.ts'
import { finishRun } from './endings.ts'
import type { Knowledge } from './facts.ts'
import type { FlowDeps } from './fulfill-order.ts'
import { OrderRun, type Patience } from './order-run.ts'
import { ship } from './ship.ts'

export interface ResumeInput {
  readonly orderId: string
  readonly round: number
  /** 1 for the first resume of a round. */
  readonly resume: number
  readonly traceId: string
  /** Whether spans of its trace are kept; absent where that was not known when it began. */
  readonly isSampled?: boolean
  readonly acceptedAtMs: number
  readonly patience: Patience
  readonly way:
    | { readonly to: 'forward'; readonly decision: FinalDecision }
    | {
        readonly to: 'back'
        readonly ending: StoredEnding
        /** Nothing is left to undo, so no service that is away can stand in the way. */
        readonly isUndone?: boolean
      }
  readonly findings: Knowledge['findings']
  readonly warnings: readonly Warning[]
}

/** The workflow's name in the engine: never rename it while runs are open. */
export const resumeOrderName = 'resume_order'

export type ResumeOrder = (
  ...args: [...Parameters<Workflow<ResumeInput>>, onRecorded?: () => void]
) => Promise<void>

export function createResumeOrder(deps: FlowDeps): ResumeOrder {
  return async (context, input, onRecorded = () => {}) => {
    const key = { orderId: input.orderId, round: input.round }
    const run = new OrderRun(context, deps, key, input.patience, input.resume)
    const calls = createCalls(deps, key, input.traceId)
    const known: Knowledge = { findings: input.findings, warnings: input.warnings }
    run.pushUndo(calls.to('inventory', releaseStock, key))
    if (input.way.to === 'back') run.pushUndo(calls.toCarrier('fulfillment', voidLabel, key))
    const ending =
      input.way.to === 'forward'
        ? await ship(run, calls, key, input.way.decision, known)
        : { ...input.way.ending, undo: input.way.isUndone !== true }
    const onEnd: Parameters<typeof finishRun>[1]['onEnd'] = (final) =>
      deps.onEnd(final, input.acceptedAtMs)
    await finishRun(run, { ...deps, onEnd, onRecorded }, calls, key, ending, known)
  }
}
