/** Orders as a client would place them, straight into the orchestrator's tables. */
import { randomUUID } from 'node:crypto'
import { hashOf, type OrderRequest } from '../../../orchestrator/order-request.ts'
import { type Intake, type OrderRow, takeIn } from '../../../orchestrator/order-store.ts'
import type { Decision, Outcome, OutcomeSummary } from '../../../orchestrator/outcome.ts'
import type { Db } from '../../../platform/db.ts'
import { newTraceId } from '../../../platform/tracing.ts'
import { request } from './answers.ts'

export const orchestratorMigrations = 'orchestrator/migrations'

/** A request for one order by one client; each has its own key unless told. */
export function intake(change: Partial<Intake> & { request?: OrderRequest } = {}): Intake {
  const wanted = change.request ?? request
  return {
    orderId: randomUUID(),
    clientId: 'acme',
    idempotencyKey: randomUUID(),
    bodyHash: hashOf(wanted),
    request: wanted,
    labelKey: randomUUID(),
    traceId: newTraceId(),
    ...change,
  }
}

/** Takes one order in and returns its row. */
export async function placeOrder(db: Db, change: Partial<Intake> = {}): Promise<OrderRow> {
  return (await takeIn(db, intake(change))).row
}

/** The end of a round with the least that can be said of it. */
export const endOf = (
  outcome: Outcome,
  code: string | null = null,
): { outcome: Outcome; code: string | null; summary: OutcomeSummary } => {
  const decision: Decision = { by: 'rules', outcome, reasons: [] }
  const summary = { message: `It is ${outcome}`, decision, findings: [], warnings: [] }
  return { outcome, code, summary }
}
