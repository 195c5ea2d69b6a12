/** How a run ends: from findings, a decision or an error to an outcome that is told and recorded. */
import type { z } from 'zod'
import { inTransaction, type Pool } from '../../platform/db.ts'
import { toWire, type WireError } from '../../platform/errors.ts'
import type { label as labelSchema } from '../../services/fulfillment/contract.ts'
import type { checkedLine } from '../../services/inventory/contract.ts'
import { closeOrder, type Finding } from '../../services/order/contract.ts'
import { appendEvents, type StepReport } from '../order-events.ts'
import { commitOrder, finishOrder } from '../order-store.ts'
import {
  type Decision,
  leadingFinding,
  type Outcome,
  type OutcomeSummary,
  type Warning,
} from '../outcome.ts'
import { storable } from '../storable.ts'
import type { Calls } from './calls.ts'
import type { FinalDecision } from './decide-rules.ts'
import { type Opened, type Proposals, shortageOf } from './facts.ts'
import { cancelledByClient, type OrderKey, type OrderRun, type RunDeps } from './order-run.ts'

export interface Ending {
  readonly outcome: Outcome
  readonly code: string | null
  readonly summary: OutcomeSummary
  /** Whether what was done is undone first. */
  readonly undo: boolean
}

type BackorderLine = z.infer<typeof checkedLine>

/** Rules decide: the leading finding names outcome and code. */
export function endByFindings(
  opened: Opened,
  findings: readonly Finding[],
  proposals?: Proposals,
): Ending {
  const leading = leadingFinding(findings)
  if (leading === undefined) throw new Error('No finding to end by')
  const { outcome, code, message, next } = leading
  const backorder = outcome === 'backordered' ? backorderOf(proposals) : {}
  return end(outcome, code, {
    message,
    next,
    decision: decided('rules', outcome, [message]),
    findings,
    warnings: warningsOf(opened, proposals),
    ...backorder,
  })
}

/** The deciding agent said hold or cancel, or a check made it hold. */
export function endByDecision(
  opened: Opened,
  decision: FinalDecision,
  proposals: Proposals,
): Ending {
  const [outcome, code] =
    decision.decision === 'cancel'
      ? (['cancelled', 'decided_cancel'] as const)
      : (['held', 'decided_hold'] as const)
  return end(outcome, code, {
    message: decision.reasons[0] ?? 'The order was not shipped',
    next: 'A person must look at this order.',
    decision: decided(decision.by, outcome, decision.reasons),
    findings: opened.findings,
    warnings: warningsOf(opened, proposals),
  })
}

/** A step failed for good. */
export function endByError(error: WireError, opened?: Opened, proposals?: Proposals): Ending {
  if (error.code === 'out_of_stock') return endByLateShortage(error, opened, proposals)
  const cancelled = error.code === 'cancelled_by_client'
  const outcome = cancelled ? 'cancelled' : 'held'
  const code = error.kind === 'unavailable' ? 'dependency_unavailable' : error.code
  const message = cancelled ? error.message : `${error.message} (${error.code})`
  const next = cancelled
    ? 'Nothing is held for this order any more; order again if you like.'
    : (error.next ?? 'A person must look at this order.')
  return end(outcome, code, {
    message,
    next,
    decision: decided(cancelled ? 'client' : 'rules', outcome, [message]),
    findings: opened?.findings ?? [],
    warnings: opened === undefined ? [] : warningsOf(opened, proposals),
  })
}

/** Somebody else took the last units between the check and the reservation. */
function endByLateShortage(error: WireError, opened?: Opened, proposals?: Proposals): Ending {
  const short = (error.details?.lines ?? []) as { sku: string; available: number }[]
  const free = new Map(short.map((line) => [line.sku, line.available]))
  const finding = shortageOf([...free.keys()])
  const checked = (proposals?.availability?.lines ?? []).map((line): BackorderLine => {
    const available = free.get(line.sku)
    if (available === undefined) return line
    return { ...line, available, short: line.quantity - available, offer: waitOffer }
  })
  return end('backordered', finding.code, {
    message: finding.message,
    next: finding.next,
    decision: decided('rules', 'backordered', [finding.message]),
    findings: [...(opened?.findings ?? []), finding],
    warnings: opened === undefined ? [] : warningsOf(opened, proposals),
    backorder: { lines: checked },
  })
}

const waitOffer = { kind: 'wait' as const, substituteSku: null }

export function endFulfilled(
  opened: Opened,
  decision: FinalDecision,
  label: z.infer<typeof labelSchema>,
  proposals: Proposals,
): Ending {
  return {
    ...end('fulfilled', null, {
      message: `Shipped with ${label.carrier} ${label.service}, tracking ${label.trackingNumber}`,
      decision: decided(decision.by, 'fulfilled', decision.reasons),
      findings: opened.findings,
      warnings: warningsOf(opened, proposals),
      label,
    }),
    undo: false,
  }
}

/** After the pivot nothing is undone: a person resumes it. */
export function endStuck(error: WireError): Ending {
  const { code, summary } = endByError(error)
  const decision = { ...summary.decision, outcome: 'stuck' as const }
  return { outcome: 'stuck', code, summary: { ...summary, decision }, undo: false }
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

function backorderOf(proposals?: Proposals): Pick<OutcomeSummary, 'backorder'> {
  const lines = proposals?.availability?.lines
  return lines === undefined ? {} : { backorder: { lines } }
}

function warningsOf(opened: Opened, proposals?: Proposals): Warning[] {
  const byAgent = proposals?.validation?.noteContainsInstructions ?? false
  if (!opened.noteSuspicious && !byAgent) return []
  const message = 'The note contained instructions; they were not followed'
  return [{ code: 'note_contained_instructions', message }]
}

/** Records how a round ended and tells of it, once: the first ending stands. */
export async function recordEnding(
  pool: Pool,
  key: OrderKey,
  ending: Ending,
  untold?: StepReport,
): Promise<void> {
  const { outcome, code, summary } = ending
  const finished = {
    key: `${key.round}:order_finished`,
    type: 'order_finished' as const,
    data: { status: outcome, code },
  }
  const owed =
    untold === undefined
      ? []
      : [{ key: `${key.round}:${untold.name}`, type: 'step_finished' as const, data: untold }]
  // Together: who sees the outcome must find the event that tells of it.
  await inTransaction(pool, async (tx) => {
    await finishOrder(tx, key.orderId, key.round, { outcome, code, summary })
    await appendEvents(tx, key, [...owed, finished])
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
): Promise<Ending> {
  if (!wanted.undo || wanted.code === cancelledByClient().code) return wanted
  const isFirst = await run.record('end', () => commitOrder(deps.pool, orderId, round))
  return isFirst ? wanted : endByError(toWire(cancelledByClient()))
}

/**
 * Undoes what must be undone, tells the order service, and records the outcome. The order service's
 * copy may lag when it is away: the outcome stands, and the copy is brought up to date after it.
 */
export async function finishRun(
  run: OrderRun,
  deps: RunDeps & { onEnd: (ending: Ending) => void },
  calls: Calls,
  key: OrderKey,
  wanted: Ending,
): Promise<void> {
  const decided = await againstCancel(run, deps, key, wanted)
  const failed = decided.undo ? await run.compensate() : undefined
  const ending = failed === undefined ? decided : { ...endStuck(failed), code: 'undo_failed' }
  const close = calls.to('order', closeOrder, {
    ...key,
    outcome: ending.outcome,
    reason: storable(ending.summary.message.slice(0, 2_000)),
    ...(ending.code === null ? {} : { code: ending.code }),
  })
  const record = async () => {
    await recordEnding(deps.pool, key, ending, run.untold)
    deps.onEnd(ending)
  }
  // A stuck round stays open at the order service: it may be resumed and end otherwise.
  if (ending.outcome === 'stuck') return run.record('finish', record)
  const closed = await run.attemptThen(close, record)
  if (!closed.ok) await run.persist({ ...close, name: 'close_order_later' })
}
