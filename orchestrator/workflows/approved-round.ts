/**
 * The round that a person approved: exactly that, and no agent is asked again.
 *
 *     open_order ─┬▶ as approved? ▶ propose_shipment ▶ reserve_stock ▶ checks ▶ ║pivot║ ▶ ship
 *     get_stock ──┘                 (the approved offer)
 *
 * Whatever is not as it was approved ends the round: nothing else was approved.
 */
import { AppError, toWire } from '../../platform/errors.ts'
import * as fulfillment from '../../services/fulfillment/contract.ts'
import * as inventory from '../../services/inventory/contract.ts'
import * as order from '../../services/order/contract.ts'
import type { Approval, ApprovalPlan } from '../approval.ts'
import { leadingFinding } from '../outcome.ts'
import type { Calls } from './calls.ts'
import { finalDecision } from './decide-rules.ts'
import { type Ending, endByDecision, endByError, endByFindings } from './endings.ts'
import {
  checksOf,
  type Knowledge,
  type Opened,
  reviewFindings,
  sameAddress,
  stockFactsOf,
} from './facts.ts'
import type { FlowDeps, FlowInput } from './fulfill-order.ts'
import { type OrderRun, unwrap } from './order-run.ts'
import { commitAndShip } from './ship.ts'

export async function runApprovedRound(
  run: OrderRun,
  deps: FlowDeps,
  calls: Calls,
  { orderId, round, request }: FlowInput,
  { by, plan }: Approval,
  known: Knowledge,
): Promise<Ending> {
  const key = { orderId, round }
  const [opening, looking] = await run.together('open', [
    calls.to('order', order.openOrder, { ...key, ...request }),
    calls.to('inventory', inventory.getStock, { skus: request.lines.map((line) => line.sku) }),
  ])
  const opened = unwrap(opening)
  known.opened = opened
  const overruled = new Set(plan.overrides.map(({ code }) => code))
  const objections = opened.findings.filter(({ code }) => !overruled.has(code))
  known.findings = [
    ...objections,
    ...reviewFindings.shortage(null, stockFactsOf(opened, unwrap(looking).stock)),
  ]
  if (leadingFinding(known.findings) !== undefined) return endByFindings(known)
  const { shipTo, shipBy } = opened
  const pinned = plan.shipment
  if (shipTo === null || pinned === null || !isAsApproved(opened, plan)) {
    return endByError(toWire(stale()), known)
  }

  const { carrier, service, priceCents } = pinned
  const shipment = await run.step(
    calls.toCarrier('fulfillment', fulfillment.proposeShipment, {
      ...{ ...key, lines: opened.lines, shipTo, shipBy, serviceLevel: 'cheapest' },
      pinned: { carrier, service, priceCents },
    }),
  )
  known.proposals = { validation: null, availability: null, shipment }
  known.findings = shipment.findings
  if (known.findings.length > 0) return endByFindings(known)

  run.pushUndo(calls.to('inventory', inventory.releaseStock, key))
  const reserved = await run.attempt(
    calls.to('inventory', inventory.reserveStock, { ...key, lines: request.lines }),
  )
  if (!reserved.ok) return endByError(reserved.error, known)

  const checks = checksOf(opened, reserved.value.lines, shipment.shipTo, plan.totalCents)
  const approved = { decision: 'ship', by: 'person', reasons: [`Approved by ${by}`] } as const
  const decision = finalDecision(checks, { approved })
  if (decision.decision !== 'ship') return endByDecision(decision, known)
  return commitAndShip(run, deps.pool, calls, key, decision, known)
}

/** What was opened against what a person saw: the same lines at the same prices to the same place. */
function isAsApproved(opened: Opened, plan: ApprovalPlan): boolean {
  const priced = ({ sku, quantity, unitPriceCents }: ApprovalPlan['lines'][number]) =>
    `${sku} ${quantity} ${unitPriceCents}`
  const now = opened.lines.map((line) => priced({ ...line, inStock: true }))
  return (
    opened.totalCents === plan.totalCents &&
    opened.shipBy === plan.shipBy &&
    now.join() === plan.lines.map(priced).join() &&
    opened.shipTo !== null &&
    plan.shipTo !== null &&
    sameAddress(opened.shipTo, plan.shipTo)
  )
}

const stale = () =>
  new AppError('rejected', 'approval_stale', 'The order is not as it was approved any more', {
    next: 'Read the order again and approve what it shows now.',
  })
