/** From an order's row to its run in the engine: which workflow, which id, which input. */
import type { Pool } from '../platform/db.ts'
import { toWire } from '../platform/errors.ts'
import { attribute } from '../platform/trace-attributes.ts'
import { inSpan, inTrace, linksFrom, placeIn, type Span, spanIdOf } from '../platform/tracing.ts'
import { inWork } from '../platform/work.ts'
import type { Engine, WorkflowContext } from './engine/seam.ts'
import type { Flights } from './flights.ts'
import { findStepReport } from './order-events.ts'
import type { OrderRow } from './order-store.ts'
import type { StoredEnding } from './outcome.ts'
import type { FinalDecision } from './workflows/decide-rules.ts'
import { endByError } from './workflows/endings.ts'
import {
  createFulfillOrder,
  type FlowDeps,
  type FlowInput,
  fulfillOrderName,
  type RunRules,
} from './workflows/fulfill-order.ts'
import { cancelledByClient, type Patience } from './workflows/order-run.ts'
import { createResumeOrder, type ResumeInput, resumeOrderName } from './workflows/resume-order.ts'

export interface RunStartDeps {
  readonly pool: Pool
  readonly engine: Engine
  /** For runs that start from now on. */
  readonly rules: RunRules
}

type Traced = Pick<FlowInput, 'traceId' | 'isSampled'>

/** A run's work: its log lines say so, and its spans are beneath the run's own. */
const inRun = <T>({ runId }: WorkflowContext, input: FlowInput | ResumeInput, work: () => T): T =>
  inTrace(placeOfRun(runId, input), () => inWork(workOf(input), work))

/** Makes the runs of orders known to the engine: the flow itself, and runs that a person asks for. */
export function registerRuns(engine: Engine, flights: Flights, deps: FlowDeps): void {
  const fulfill = createFulfillOrder(deps)
  engine.register<FlowInput>(fulfillOrderName, (context, input) =>
    inRun(context, input, () => flights.during((leave) => fulfill(context, input, leave))),
  )
  const resume = createResumeOrder(deps)
  engine.register<ResumeInput>(resumeOrderName, (context, input) =>
    inRun(context, input, () => flights.during((leave) => resume(context, input, leave))),
  )
}

const workOf = ({ orderId, round, traceId }: FlowInput | ResumeInput) => ({
  orderId,
  round,
  traceId,
})

/** The id of an order's present run. */
export function runIdOf({
  orderId,
  round,
  resumes,
}: Pick<OrderRow, 'orderId' | 'round' | 'resumes'>) {
  return resumes === 0 ? `${orderId}:${round}` : `${orderId}:${round}:resume-${resumes}`
}

/**
 * The root of a run's spans. Its id follows from the run's, so that whichever process goes on with the
 * run puts its steps beneath the same span, and can link to it, without having been told.
 */
const rootSpanIdOf = (runId: string) => spanIdOf(`run ${runId}`)

const placeOfRun = (runId: string, { traceId, isSampled }: Traced) => ({
  ...{ traceId, spanId: rootSpanIdOf(runId) },
  ...(isSampled !== undefined && { isSampled }),
})

/**
 * Starts the run that the row asks for. Repeating it joins the first; `isRepeat` says that it was
 * most likely started before, so that its root is not told twice.
 */
export async function startRun(
  deps: RunStartDeps,
  row: OrderRow,
  dispatch: 'direct' | 'queued',
  isRepeat = false,
): Promise<void> {
  const { orderId, traceId } = row
  const runId = runIdOf(row)
  const name = row.resumes > 0 ? resumeOrderName : fulfillOrderName
  const start = async (span?: Span) => {
    const { isSampled } = span?.place ?? placeIn(traceId)
    const input = await inputOf(deps, row)
    const traced = { ...input, ...(isSampled !== undefined && { isSampled }) }
    await deps.engine.start(name, runId, traced, dispatch)
  }
  if (isRepeat) return start()
  const attributes = { [attribute.orderId]: orderId, [attribute.runId]: runId }
  await inSpan(`start ${name}`, attributes, start, {
    kind: 'producer',
    parent: placeIn(traceId),
    links: linksFrom(traceId),
    spanId: rootSpanIdOf(runId),
  })
}

async function inputOf(deps: RunStartDeps, row: OrderRow): Promise<FlowInput | ResumeInput> {
  if (row.resumes > 0) return resumeInputOf(deps.pool, row, deps.rules.patience)
  const { request, approval } = row
  const approved = approval === null ? {} : { approval }
  return { ...commonOf(row), request, rules: deps.rules, ...approved }
}

/** What a run needs to go on with a round where it stands. */
export async function resumeInputOf(
  pool: Pool,
  row: OrderRow,
  patience: Patience,
): Promise<ResumeInput> {
  const { findings = [], warnings = [] } = row.summary ?? {}
  const way = await wayOf(pool, row)
  return { ...commonOf(row), resume: row.resumes, patience, way, findings, warnings }
}

const commonOf = ({ orderId, round, traceId, requestedAt }: OrderRow) => ({
  ...{ orderId, round, traceId },
  acceptedAtMs: requestedAt.getTime(),
})

/** Past the pivot, by a decision to ship, it goes forward; else what was done is undone. */
async function wayOf(pool: Pool, row: OrderRow): Promise<ResumeInput['way']> {
  const decision = row.phase === 'committed' ? await decisionOf(pool, row) : undefined
  if (decision?.decision === 'ship') return { to: 'forward', decision }
  // A round that ended held was undone by then; the summary of that end is still here.
  const isUndone = row.summary?.decision.outcome === 'held'
  return { to: 'back', ending: endingOf(row), isUndone }
}

/** What was decided before the pivot: by a person, or as its event tells. */
async function decisionOf(
  pool: Pool,
  { orderId, round, approval }: OrderRow,
): Promise<FinalDecision | undefined> {
  if (approval !== null) {
    return { decision: 'ship', by: 'person', reasons: [`Approved by ${approval.by}`] }
  }
  const report = await findStepReport(pool, orderId, `${round}:decide:step_finished`)
  return report?.result as FinalDecision | undefined
}

function endingOf({ phase, summary }: OrderRow): StoredEnding {
  if (phase === 'cancelling') return endByError(toWire(cancelledByClient()))
  const message = 'The run of this order failed'
  return summary?.wanted ?? endByError({ kind: 'internal', code: 'run_failed', message })
}
