/** How a run ends: from findings, a decision or an error to an outcome that is told and recorded. */
import type { z } from 'zod'
import { inTransaction, type Pool } from '../../platform/db.ts'
import { toWire, type WireError } from '../../platform/errors.ts'
import type { checkedLine } from '../../services/inventory/contract.ts'
import { closeOrder } from '../../services/order/contract.ts'
import { appendEvents, type StepReport } from '../order-events.ts'
import { beginEnding, finishOrder } from '../order-store.ts'
import {
  type Decision,
  isOutcomeCode,
  leadingFinding,
  type Outcome,
  type OutcomeCode,
  type OutcomeSummary,
  type StoredEnding,
  type Warning,
} from '../outcome.ts'
import { storable } from '../storable.ts'
import type { Calls } from './calls.ts'
import type { FinalDecision } from './decide-rules.ts'
import { type Knowledge, shortageOf } from './facts.ts'
import {
  cancelledByClient,
  eventPrefix,
  type OrderKey,
  type OrderRun,
  type RunDeps,
} from './order-run.ts'

export interface Ending extends StoredEnding {
  /** Whether what was done is undone first. */
  readonly undo: boolean
}

type BackorderLine = z.infer<typeof checkedLine>

/** Rules decide: the leading finding of those that are known names outcome and code. */
export function endByFindings(known: Knowledge): Ending {
  const leading = leadingFinding(known.findings)
  if (leading === undefined) throw new Error('No finding to end by')
  const { outcome, code, message, next } = leading
  const backorder = outcome === 'backordered' ? backorderOf(known) : {}
  return end(outcome, code, {
    message,
    next,
    decision: decided('rules', outcome, [message]),
    ...told(known),
    ...backorder,
  })
}

/** The deciding agent said hold or cancel, or a check made it hold. */
export function endByDecision(decision: FinalDecision, known: Knowledge): Ending {
  const [outcome, code] =
    decision.decision === 'cancel'
      ? (['cancelled', 'decided_cancel'] as const)
      : (['held', 'decided_hold'] as const)
  return end(outcome, code, {
    message: decision.reasons[0] ?? 'The order was not shipped',
    next: 'A person must look at this order.',
    decision: decided(decision.by, outcome, decision.reasons),
    ...told(known),
  })
}

/** A step failed for good. */
export function endByError(error: WireError, known: Knowledge = nothing): Ending {
  if (error.code === 'out_of_stock') return endByLateShortage(error, known)
  const cancelled = error.code === 'cancelled_by_client'
  const outcome = cancelled ? 'cancelled' : 'held'
  const message = cancelled ? error.message : `${error.message} (${error.code})`
  const next = cancelled
    ? 'Nothing is held for this order any more; order again if you like.'
    : (error.next ?? 'A person must look at this order.')
  return end(outcome, codeOf(error), {
    message,
    next,
    decision: decided(cancelled ? 'client' : 'rules', outcome, [message]),
    ...told(known),
  })
}

/** Callers match on codes: only what the business said keeps its own. */
function codeOf({ kind, code }: WireError): OutcomeCode {
  if (kind === 'unavailable') return 'dependency_unavailable'
  const isOurs = kind === 'rejected' || code === 'run_failed'
  return isOurs && isOutcomeCode(code) ? code : 'internal_error'
}

/** Somebody else took the last units between the check and the reservation. */
function endByLateShortage(error: WireError, known: Knowledge): Ending {
  const short = (error.details?.lines ?? []) as { sku: string; available: number }[]
  const free = new Map(short.map((line) => [line.sku, line.available]))
  const finding = shortageOf([...free.keys()])
  const looked = known.proposals?.availability?.lines ?? withoutOffers(known, free)
  const checked = looked.map((line): BackorderLine => {
    const available = free.get(line.sku)
    if (available === undefined) return line
    return { ...line, available, short: line.quantity - available, offer: waitOffer }
  })
  return end('backordered', finding.code, {
    message: finding.message,
    next: finding.next,
    decision: decided('rules', 'backordered', [finding.message]),
    ...told({ ...known, findings: [...known.findings, finding] }),
    backorder: { lines: checked },
  })
}

const waitOffer = { kind: 'wait' as const, substituteSku: null }

/** The short lines of an order whose stock no agent looked at, as the plan wanted it. */
const withoutOffers = (known: Knowledge, free: ReadonlyMap<string, number>): BackorderLine[] =>
  (known.opened?.lines ?? [])
    .filter(({ sku }) => free.has(sku))
    .map(({ sku, quantity }) => ({
      ...{ sku, quantity, available: 0, short: quantity },
      ...{ restockDate: null, substitutes: [], offer: waitOffer },
    }))

export function endFulfilled(
  decision: FinalDecision,
  label: NonNullable<Knowledge['label']>,
  known: Knowledge,
): Ending {
  return {
    ...end('fulfilled', null, {
      message: `Shipped with ${label.carrier} ${label.service}, tracking ${label.trackingNumber}`,
      decision: decided(decision.by, 'fulfilled', decision.reasons),
      ...told(known),
      label,
    }),
    undo: false,
  }
}

/** After the pivot nothing is undone: a person resumes it. A label that was bought stays good. */
export function endStuck(error: WireError, known: Knowledge = nothing): Ending {
  const { code, summary } = endByError(error, known)
  const decision = { ...summary.decision, outcome: 'stuck' as const }
  const label = known.label === undefined ? {} : { label: known.label }
  return { outcome: 'stuck', code, summary: { ...summary, decision, ...label }, undo: false }
}

const end = (outcome: Outcome, code: string | null, summary: OutcomeSummary): Ending => ({
  outcome,
  code,
  summary,
  undo: true,
})

const decided = (by: Decision['by'], outcome: Outcome, reasons: readonly string[]): Decision => ({
  by,
  outcome,
  reasons,
})

function backorderOf({ proposals }: Knowledge): Pick<OutcomeSummary, 'backorder'> {
  const lines = proposals?.availability?.lines
  return lines === undefined ? {} : { backorder: { lines } }
}

/** Of a run that failed before anything was known, or that somebody else ends. */
const nothing: Knowledge = { findings: [] }

/** What every ending tells, whatever its reason. */
const told = (known: Knowledge): Pick<OutcomeSummary, 'findings' | 'warnings'> => ({
  findings: known.findings,
  warnings: warningsOf(known),
})

function warningsOf({ opened, proposals, warnings }: Knowledge): Warning[] {
  if (warnings !== undefined) return [...warnings]
  const byCode = opened?.noteSuspicious ?? false
  const byAgent = proposals?.validation?.noteContainsInstructions ?? false
  if (!byCode && !byAgent) return []
  const message = 'The note contained instructions; they were not followed'
  return [{ code: 'note_contained_instructions', message }]
}

/** Records how a round ended and tells of it, once: the first ending stands. True for that one. */
export async function recordEnding(
  pool: Pool,
  key: OrderKey,
  ending: Ending,
  { untold, resume = 0 }: { untold?: StepReport | undefined; resume?: number } = {},
): Promise<boolean> {
  const { outcome, code, summary } = ending
  const prefix = eventPrefix(key.round, resume)
  const finished = {
    key: `${prefix}:order_finished`,
    type: 'order_finished' as const,
    data: { status: outcome, code },
  }
  const owed =
    untold === undefined
      ? []
      : [{ key: `${prefix}:${untold.name}`, type: 'step_finished' as const, data: untold }]
  // Together: who sees the outcome must find the event that tells of it.
  return inTransaction(pool, async (tx) => {
    const isFirst = await finishOrder(
      tx,
      key.orderId,
      key.round,
      { outcome, code, summary },
      resume,
    )
    await appendEvents(tx, { ...key, resume }, [...owed, finished])
    return isFirst
  })
}

/**
 * A cancel that was accepted is kept, however the run would have ended: this end and a cancel meet
 * at the same update as pivot and cancel do, and whoever comes second finds the row taken.
 */
async function againstCancel(
  run: OrderRun,
  deps: RunDeps,
  { orderId, round }: OrderKey,
  wanted: Ending,
  known: Knowledge,
): Promise<Ending> {
  if (!wanted.undo || wanted.code === cancelledByClient().code) return wanted
  const isFirst = await run.record('end', () => beginEnding(deps.pool, orderId, round))
  return isFirst ? wanted : endByError(toWire(cancelledByClient()), known)
}

/** Whom a run tells that its outcome is recorded. */
export interface EndingDeps extends RunDeps {
  /**
   * With the outcome, by the one process that wrote it: a run that is repeated after a crash finds it
   * written and tells nobody again.
   */
  readonly onEnd: (ending: Ending) => void
  /** Once in every execution, replays included: nobody waits for the run any more. */
  readonly onRecorded: () => void
}

/**
 * Undoes what must be undone, tells the order service, and records the outcome. The order service's
 * copy may lag when it is away: the outcome stands, and the copy is brought up to date after it.
 */
export async function finishRun(
  run: OrderRun,
  deps: EndingDeps,
  calls: Calls,
  key: OrderKey,
  wanted: Ending,
  known: Knowledge,
): Promise<void> {
  const decided = await againstCancel(run, deps, key, wanted, known)
  const failed = decided.undo ? await run.compensate() : undefined
  const ending = failed === undefined ? decided : undoFailed(failed, decided, known)
  const record = async () => {
    if (await recordEnding(deps.pool, key, ending, run)) deps.onEnd(ending)
  }
  const recordFirst = async () => {
    await run.record('finish', record)
    deps.onRecorded()
  }
  // A stuck round stays open at the order service: it may be resumed and end otherwise.
  if (ending.outcome === 'stuck') return recordFirst()
  const close = calls.to('order', closeOrder, {
    ...key,
    outcome: ending.outcome,
    reason: storable(ending.summary.message.slice(0, 2_000)),
    ...(ending.code === null ? {} : { code: ending.code }),
  })
  // What was away may be the order service itself: nobody waits for it a second time.
  const isAway = ending.code === ('dependency_unavailable' satisfies OutcomeCode)
  if (isAway) await recordFirst()
  const closed = await run.attemptThen(close, isAway ? async () => {} : record)
  if (!isAway) deps.onRecorded()
  if (closed.ok) return
  const later = await run.persist({ ...close, name: 'close_order_later' })
  if (later.ok) return
  const fields = { ...key, outcome: ending.outcome, code: later.error.code }
  deps.log.error(fields, 'the order service does not know how the order ended')
}

/** A resume undoes again, and then ends the round as it was to end. */
function undoFailed(error: WireError, decided: Ending, known: Knowledge): Ending {
  const { outcome, code, summary } = decided
  const stuck = endStuck(error, known)
  return {
    ...stuck,
    code: 'undo_failed' satisfies OutcomeCode,
    summary: { ...stuck.summary, wanted: { outcome, code, summary } },
  }
}
