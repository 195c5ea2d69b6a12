/**
 * Why an order ended as it did, step by step: who proposed what, on which evidence, what the rules
 * said, and what it took. Built from the order's row and events alone, on any replica.
 */
import type { Db } from '../platform/db.ts'
import type { WireError } from '../platform/errors.ts'
import { formatUsd } from '../platform/prices.ts'
import type { Finding } from '../services/order/contract.ts'
import { readStepReports, type StepReport } from './order-events.ts'
import type { OrderRow } from './order-store.ts'
import type { Decision } from './outcome.ts'

export interface Explanation {
  readonly orderId: string
  readonly traceId: string
  readonly status: OrderRow['status']
  readonly code: string | null
  readonly why: string
  readonly next: string | undefined
  readonly decision: Decision | undefined
  /** What the rules object to. */
  readonly findings: readonly Finding[]
  readonly steps: readonly ExplainedStep[]
  readonly total: { readonly costUsd: string; readonly tokens: number; readonly durationMs: number }
  readonly mode: 'standin' | 'live'
}

export interface ExplainedStep {
  readonly round: number
  readonly step: string
  readonly service: string
  readonly state: StepReport['state']
  readonly attempts: number
  readonly durationMs: number
  readonly error?: WireError
  /** Of a step with an agent: what it proposed, or the rules in its place and why. */
  readonly proposal?: Proposal
  readonly agent?: {
    readonly model: string
    readonly insteadOf: readonly { readonly model: string; readonly code: string }[]
    readonly turns: number
    readonly stopReason: string
    readonly tokens: number
    readonly costUsd: string
    /** Whoever may not see every order is told which tools were asked, not what they found. */
    readonly evidence: readonly { tool: string; ok: boolean; found?: string }[]
  }
}

export interface Proposal {
  readonly by: string
  readonly verdict?: string
  readonly reasons: readonly string[]
  readonly insteadOfAgent?: { readonly code: string; readonly message: string }
  readonly findings: readonly Finding[]
}

/** `withEvidence`: what the agents' tools found is shown, too. */
export async function explainOrder(
  db: Db,
  row: OrderRow,
  { mode, withEvidence }: { readonly mode: Explanation['mode']; readonly withEvidence: boolean },
): Promise<Explanation> {
  const reports = await readStepReports(db, row.orderId)
  const steps = reports.map(({ round, report }) => explainStep(round, report, withEvidence))
  const agents = reports.flatMap(({ report: { agent } }) => (agent === undefined ? [] : [agent]))
  const summary = row.status === 'running' ? null : row.summary
  const endedAt = row.finishedAt ?? new Date()
  return {
    orderId: row.orderId,
    traceId: row.traceId,
    status: row.status,
    code: row.status === 'running' ? null : row.code,
    why: summary?.message ?? 'It is still running',
    next: summary?.next,
    decision: summary?.decision,
    findings: summary?.findings ?? [],
    steps,
    total: {
      costUsd: formatUsd(agents.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0)),
      tokens: agents.reduce((sum, { usage }) => sum + tokensOf(usage), 0),
      durationMs: endedAt.getTime() - row.createdAt.getTime(),
    },
    mode,
  }
}

const tokensOf = (usage: object): number =>
  Object.values(usage).reduce((sum: number, tokens: number) => sum + tokens, 0)

function explainStep(round: number, report: StepReport, withEvidence: boolean): ExplainedStep {
  const { name, service, state, attempts, durationMs, error, agent } = report
  const proposal = proposalOf(report.result)
  return {
    ...{ round, step: name, service, state, attempts, durationMs },
    ...(error === undefined ? {} : { error }),
    ...(proposal === undefined ? {} : { proposal }),
    ...(agent === undefined
      ? {}
      : {
          agent: {
            model: agent.model,
            insteadOf: agent.fallbackFrom ?? [],
            turns: agent.turns,
            stopReason: agent.stopReason,
            tokens: tokensOf(agent.usage),
            costUsd: formatUsd(agent.costNanoUsd),
            evidence: agent.toolCalls.map(({ name: tool, ok, evidence }) => ({
              ...{ tool, ok },
              ...(withEvidence && evidence !== undefined ? { found: evidence } : {}),
            })),
          },
        }),
  }
}

/** The part of a step's result that proposes; undefined for a step that only does. */
function proposalOf(result: unknown): Proposal | undefined {
  const { by, verdict, decision, reasons, agentFailure, findings } = (result ?? {}) as {
    by?: string
    verdict?: string
    decision?: string
    reasons?: string[]
    agentFailure?: { code: string; message: string }
    findings?: Finding[]
  }
  if (by === undefined && (findings ?? []).length === 0) return undefined
  const said = verdict ?? decision
  return {
    by: by ?? 'rules',
    ...(said === undefined ? {} : { verdict: said }),
    reasons: reasons ?? [],
    ...(agentFailure === undefined ? {} : { insteadOfAgent: agentFailure }),
    findings: findings ?? [],
  }
}
