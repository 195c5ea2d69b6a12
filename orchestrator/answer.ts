/** What clients are told of an order: where it stands, why, what every step did and cost. */
import type { Db } from '../platform/db.ts'
import { addUsage, formatUsd, noUsage } from '../platform/prices.ts'
import { degradedOf } from './degraded.ts'
import { readStepReports, type StepReport } from './order-events.ts'
import type { OrderRow } from './order-store.ts'

export interface AnswerSettings {
  /** Base of links in answers, as callers reach us. */
  readonly publicUrl: string
  readonly mode: 'standin' | 'live'
}

/** Builds the answer of one order from its row and its events. */
export async function buildAnswer(db: Db, row: OrderRow, settings: AnswerSettings) {
  const reports = await readStepReports(db, row.orderId)
  // While it runs again, what its last run ended with is no answer any more.
  const summary = row.status === 'running' ? null : row.summary
  const agents = reports.flatMap(({ report: { agent } }) => (agent === undefined ? [] : [agent]))
  const costNanoUsd = agents.reduce((sum, agent) => sum + agent.costNanoUsd, 0)
  return {
    orderId: row.orderId,
    round: row.round,
    status: row.status,
    ...(row.code === null || summary === null ? {} : { code: row.code }),
    ...(summary === null
      ? {}
      : {
          message: summary.message,
          ...(summary.next === undefined ? {} : { next: summary.next }),
          decision: summary.decision,
          ...labelOf(row, settings),
          ...(summary.backorder === undefined ? {} : { backorder: summary.backorder }),
          findings: summary.findings,
          warnings: summary.warnings,
        }),
    order: row.request,
    ...degradedOf(reports.filter(({ round }) => round === row.round).map(({ report }) => report)),
    steps: reports.map(stepOf),
    usage: agents.reduce((sum, agent) => addUsage(sum, agent.usage), noUsage),
    /** Exact; simulated when mode is standin. */
    costUsd: formatUsd(costNanoUsd),
    mode: settings.mode,
    traceId: row.traceId,
    createdAt: row.createdAt.toISOString(),
    ...(row.finishedAt === null ? {} : { finishedAt: row.finishedAt.toISOString() }),
  }
}

export const labelUrl = (row: OrderRow, { publicUrl }: AnswerSettings): string =>
  `${publicUrl}/labels/${row.labelKey}.pdf`

function labelOf(row: OrderRow, settings: AnswerSettings) {
  const label = row.summary?.label
  if (label === undefined) return {}
  const { trackingNumber, carrier, service, costCents } = label
  const costUsd = formatUsd(costCents * 10_000_000)
  return {
    label: { url: labelUrl(row, settings), trackingNumber, carrier, service, costUsd },
  }
}

function stepOf({ round, report }: { round: number; report: StepReport }) {
  const { name, service, tool, state, attempts, durationMs, agent, result, error } = report
  return {
    round,
    name,
    service,
    tool,
    state,
    attempts,
    ...(agent === undefined
      ? {}
      : {
          agent: {
            model: agent.model,
            ...(agent.fallbackFrom === undefined ? {} : { fallbackFrom: agent.fallbackFrom }),
            turns: agent.turns,
            stopReason: agent.stopReason,
            repaired: agent.repaired,
            toolCalls: agent.toolCalls.map(({ name, ok }) => ({ name, ok })),
            durationMs: agent.durationMs,
          },
          usage: agent.usage,
          costUsd: formatUsd(agent.costNanoUsd),
        }),
    ...(error === undefined ? { result } : { error }),
    durationMs,
  }
}
