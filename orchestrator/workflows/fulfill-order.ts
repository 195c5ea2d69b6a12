/**
 * From accepted order to shipping label.
 *
 *     open_order ─┬▶ validate_order   ┐
 *     get_stock ──┼▶ check_inventory  ┼▶ rules ▶ reserve_stock ▶ decide ▶ ║pivot║ ▶ generate_label
 *       (plan)    └▶ propose_shipment ┘                                            ▶ commit_stock
 *                                                                                  ▶ close_order
 *
 * Before the pivot a failure undoes what was done, newest first. After it a step is retried until
 * done; a label that the carrier refuses for good takes the one way back (void, release, held).
 * Code between steps runs again after every crash, so it only rearranges data.
 */
import type { AgentDeps, AgentSettings } from '../../platform/agent-types.ts'
import type { WireError } from '../../platform/errors.ts'
import type { McpCaller } from '../../platform/mcp-client.ts'
import * as fulfillment from '../../services/fulfillment/contract.ts'
import * as inventory from '../../services/inventory/contract.ts'
import * as order from '../../services/order/contract.ts'
import { decide, makePlan, type PreparedDecision, prepareDecision } from '../agents.ts'
import type { Approval } from '../approval.ts'
import type { Workflow } from '../engine/seam.ts'
import type { StepReport } from '../order-events.ts'
import type { OrderRequest } from '../order-request.ts'
import { leadingFinding } from '../outcome.ts'
import { runApprovedRound } from './approved-round.ts'
import { type CallDeadlines, type Calls, createCalls } from './calls.ts'
import { type Ending, endByDecision, endByError, endByFindings, finishRun } from './endings.ts'
import {
  checksOf,
  dayOf,
  factsOf,
  type Knowledge,
  type Opened,
  type Proposals,
  proposalsOf,
  reviewFindings,
  stockFactsOf,
} from './facts.ts'
import {
  failureOf,
  OrderRun,
  type Patience,
  type RunDeps,
  type StepOutcome,
  unwrap,
} from './order-run.ts'
import { needsPlan, type Planning } from './plan-rules.ts'
import { commitAndShip } from './ship.ts'

export interface FlowDeps extends RunDeps {
  readonly order: McpCaller
  readonly inventory: McpCaller
  readonly fulfillment: McpCaller
  readonly agent: AgentDeps
  readonly planAgent: AgentSettings
  readonly decideAgent: AgentSettings
  readonly orderLimitCents: number
  /** Of calls to services. */
  readonly deadlines?: CallDeadlines
  /** Called as the outcome is recorded. */
  readonly onEnd: (ending: Ending, acceptedAtMs: number) => void
}

/**
 * `onRecorded`: the outcome is there to be read, though the run may go on telling the order service
 * of it. Called once in every execution, replays included: whoever counts runs in flight may stop
 * counting this one.
 */
export type FulfillOrder = (
  ...args: [...Parameters<Workflow<FlowInput>>, onRecorded?: () => void]
) => Promise<void>

/**
 * What decides which way a run goes, besides what its steps return. Fixed when it starts: a replay
 * after a restart with other settings would not find its records again.
 */
export interface RunRules {
  readonly planning: Planning
  readonly patience: Patience
  /** The most that ships, in US cents, when no model judged the order. Absent in older runs: no limit. */
  readonly rulesOnlyLimitCents?: number
}

export interface FlowInput {
  readonly orderId: string
  readonly round: number
  readonly request: OrderRequest
  readonly traceId: string
  /** Whether spans of its trace are kept; absent where that was not known when it began. */
  readonly isSampled?: boolean
  readonly acceptedAtMs: number
  readonly rules: RunRules
  /** Of a round that a person approved: it runs exactly that. */
  readonly approval?: Approval
}

/** The workflow's name in the engine: never rename it while runs are open. */
export const fulfillOrderName = 'fulfill_order'

export function createFulfillOrder(deps: FlowDeps): FulfillOrder {
  return async (context, input, onRecorded = () => {}) => {
    const key = { orderId: input.orderId, round: input.round }
    const run = new OrderRun(context, deps, key, input.rules.patience)
    const calls = createCalls(deps, key, input.traceId)
    const known: Knowledge = { findings: [] }
    const ending = await toEnding(run, deps, calls, input, known).catch((cause: unknown) =>
      endByError(failureOf(cause), known),
    )
    const onEnd = (final: Ending) => deps.onEnd(final, input.acceptedAtMs)
    await finishRun(run, { ...deps, onEnd, onRecorded }, calls, key, ending, known)
  }
}

async function toEnding(
  run: OrderRun,
  deps: FlowDeps,
  calls: Calls,
  input: FlowInput,
  known: Knowledge,
): Promise<Ending> {
  const { orderId, round, request } = input
  const key = { orderId, round }
  const today = dayOf(input.acceptedAtMs)
  if (input.approval !== undefined) {
    return runApprovedRound(run, deps, calls, input, input.approval, known)
  }

  // Code checks before any agent: what rules reject or stock does not cover costs no model tokens.
  const [opening, looking] = await run.together('open', [
    calls.to('order', order.openOrder, { ...key, ...request }),
    calls.to('inventory', inventory.getStock, { skus: request.lines.map((line) => line.sku) }),
  ])
  if (opening.ok) {
    known.opened = opening.value
    known.findings = opening.value.findings
  }
  const opened = unwrap(opening)
  const { stock } = unwrap(looking)
  const early = leadingFinding(opened.findings)
  if (early?.outcome === 'rejected') return endByFindings(known)
  const shipTo = opened.shipTo
  if (shipTo === null) throw new Error('An order without address passed the rules')

  const stockFacts = stockFactsOf(opened, stock)
  const planFacts = {
    lineCount: opened.lines.length,
    totalCents: opened.totalCents,
    hasNote: opened.note !== null,
    hasDeadline: opened.shipBy !== null,
    isShort: stockFacts.short.length > 0,
  }
  const plan = needsPlan(input.rules.planning, planFacts)
    ? await run.step({
        ...own('plan'),
        run: () => {
          const file = { facts: factsOf(opened, today), stock: stockFacts }
          return makePlan(deps.agent, deps.planAgent, key, file, planFacts)
        },
      })
    : null
  const doubts = plan?.sendToPerson === true ? [reviewFindings.plan(plan.reasons)] : []
  // A shortage comes before a doubt, and the customer is told what to do about it.
  known.findings = [...opened.findings, ...doubts]
  if (doubts.length > 0 && !planFacts.isShort) return endByFindings(known)

  // The three agents propose at the same time, read-only; unless something already speaks against
  // shipping, the deciding agent asks its questions meanwhile.
  const skip = new Set<string>(plan?.skip)
  if (planFacts.isShort) skip.add('propose_shipment')
  if (planFacts.isShort || early !== undefined) skip.add('prepare_decision')
  const { proposals, prepared, failed } = await propose(run, deps, calls, opened, {
    skip,
    shipTo,
    serviceLevel: plan?.serviceLevel ?? 'cheapest',
  })
  const { availability, shipment } = proposals
  // What was done counts, and is told, also where something beside it failed.
  run.tellAtEnd(reportOfPrepared(prepared))
  known.proposals = proposals
  known.findings = [
    ...known.findings,
    ...(shipment?.findings ?? []),
    ...reviewFindings.of(proposals),
    ...reviewFindings.unjudged(proposals.validation?.by, opened, input.rules.rulesOnlyLimitCents),
    ...reviewFindings.shortage(availability, stockFacts),
  ]
  if (failed !== undefined) return endByError(failed, known)
  if (known.findings.length > 0) return endByFindings(known)
  if (shipment === null) throw new Error('No shipment was proposed for an order to be shipped')

  run.pushUndo(calls.to('inventory', inventory.releaseStock, key))
  const reserved = await run.attempt(
    calls.to('inventory', inventory.reserveStock, { ...key, lines: request.lines }),
  )
  if (!reserved.ok) return endByError(reserved.error, known)

  const checks = checksOf(opened, reserved.value.lines, shipment.shipTo, deps.orderLimitCents)
  const decision = await run.step({
    ...own('decide'),
    run: () => {
      const file = {
        facts: factsOf(opened, today),
        proposals: proposalsOf(proposals, plan?.skip ?? []),
        reservation: { state: 'held', lines: reserved.value.lines, checks },
      }
      const unjudged = reviewFindings.unjudged('rules', opened, input.rules.rulesOnlyLimitCents)
      const mayRulesShip = unjudged.length === 0
      return decide(deps.agent, deps.decideAgent, key, file, checks, { prepared, mayRulesShip })
    },
  })
  run.tellAtEnd(undefined)
  known.findings = reviewFindings.unjudged(
    decision.agentFailure && 'rules',
    opened,
    input.rules.rulesOnlyLimitCents,
  )
  if (decision.decision === 'ship' && known.findings.length > 0) return endByFindings(known)
  if (decision.decision !== 'ship') return endByDecision(decision, known)

  return commitAndShip(run, deps.pool, calls, key, decision, known)
}

interface Proposed {
  readonly proposals: Proposals
  readonly prepared: PreparedDecision | null
  /** Of the first that failed; what the others did is there all the same. */
  readonly failed: WireError | undefined
}

async function propose(
  run: OrderRun,
  deps: FlowDeps,
  calls: Calls,
  opened: Opened,
  {
    skip,
    shipTo,
    serviceLevel,
  }: {
    skip: ReadonlySet<string>
    shipTo: NonNullable<Opened['shipTo']>
    serviceLevel: 'cheapest' | 'fastest'
  },
): Promise<Proposed> {
  const { orderId, round, shipBy } = opened
  const key = { orderId, round }
  const lines = opened.lines.map(({ sku, quantity }) => ({ sku, quantity }))
  const shipmentInput = { ...key, lines: opened.lines, shipTo, shipBy, serviceLevel }
  const wanted = [
    calls.toAgent('order', order.validateOrder, key),
    calls.toAgent('inventory', inventory.checkInventory, { ...key, lines }),
    calls.toAgent('fulfillment', fulfillment.proposeShipment, shipmentInput),
    {
      ...own('prepare_decision'),
      run: () => prepareDecision(deps.agent, deps.decideAgent, key),
      isTold: false,
    },
  ].filter((step) => !skip.has(step.name))
  const outcomes: StepOutcome<unknown>[] = await run.all(wanted)
  const resultOf = (name: string) => {
    const outcome = outcomes[wanted.findIndex((step) => step.name === name)]
    return outcome?.ok === true ? outcome.value : null
  }
  return {
    proposals: {
      validation: resultOf('validate_order') as Proposals['validation'],
      availability: resultOf('check_inventory') as Proposals['availability'],
      shipment: resultOf('propose_shipment') as Proposals['shipment'],
    },
    prepared: resultOf('prepare_decision') as PreparedDecision | null,
    failed: outcomes.find((outcome) => !outcome.ok)?.error,
  }
}

/** On an order that ends before it is decided, what preparing the decision used is told by itself. */
function reportOfPrepared(prepared: PreparedDecision | null): StepReport | undefined {
  const agent = prepared?.agent
  if (agent === undefined || agent === null) return undefined
  const { isLong: _isLong, ...names } = own('prepare_decision')
  const { durationMs } = agent
  return { ...names, state: 'done', attempts: 1, durationMs, result: null, agent }
}

const own = (name: string) => ({ name, service: 'orchestrator', tool: name, isLong: true })
