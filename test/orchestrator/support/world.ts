/** One order and everything its run needs: real tables, a table of answers, a scripted model. */

import { type Approval, type ApprovalPlan, digestOf } from '../../../orchestrator/approval.ts'
import type { Workflow } from '../../../orchestrator/engine/seam.ts'
import { readStepReports } from '../../../orchestrator/order-events.ts'
import type { OrderRequest } from '../../../orchestrator/order-request.ts'
import { dismissOrder, resumeOrder } from '../../../orchestrator/order-rounds.ts'
import { readOrder } from '../../../orchestrator/order-store.ts'
import type { StoredEnding } from '../../../orchestrator/outcome.ts'
import { resumeInputOf } from '../../../orchestrator/runs.ts'
import type { Ending } from '../../../orchestrator/workflows/endings.ts'
import {
  createFulfillOrder,
  type FlowDeps,
  type FlowInput,
} from '../../../orchestrator/workflows/fulfill-order.ts'
import type { Planning } from '../../../orchestrator/workflows/plan-rules.ts'
import {
  createResumeOrder,
  type ResumeInput,
} from '../../../orchestrator/workflows/resume-order.ts'
import { defaultLimits } from '../../../platform/agent-types.ts'
import type { Model } from '../../../platform/model.ts'
import type { TestDatabase } from '../../support/database.ts'
import { agentDeps, answers } from '../../support/scripted-model.ts'
import { openedOrder, parcelQuote, shipTo } from './answers.ts'
import { type Death, MemoryEngine } from './memory-engine.ts'
import { placeOrder } from './orders.ts'
import { servicesOf, type Table } from './services.ts'

export const decides = (decision: 'ship' | 'hold' | 'cancel') => ({
  decision,
  reasons: [`because of ${decision}`],
  summary: `We ${decision}.`,
})
export const plans = (change: object = {}) => ({
  skip: [],
  serviceLevel: 'cheapest',
  sendToPerson: false,
  reasons: ['an ordinary order'],
  ...change,
})

/** A model whose two agents always give the same verdicts; an Error is thrown instead. */
export function modelOf(verdicts: { plan?: unknown; decide?: unknown }): Model {
  return {
    mode: 'standin',
    async turn({ system }) {
      const verdict = system.includes('planning agent') ? verdicts.plan : verdicts.decide
      if (verdict instanceof Error) throw verdict
      return answers(verdict)
    },
  }
}

export interface WorldOptions {
  /** Where the services answer otherwise than for an ordinary order. */
  readonly answers?: Table
  readonly model?: Model
  readonly planning?: Planning
  readonly request?: OrderRequest
  /** A person approved the round: what they saw, where it is not the ordinary order. */
  readonly approved?: Partial<ApprovalPlan>
}

// One set of metrics for all worlds: each set watches the process.
const around = agentDeps(modelOf({}))
const settings = { model: 'claude-opus-5-5', effort: 'low', limits: defaultLimits } as const

const patience = { roundsMax: 3, waitMinMs: 1, waitMaxMs: 1 }

/** What a person sees of the ordinary order, and approves. */
function approvalOf(orderId: string, change: Partial<ApprovalPlan>): Approval {
  const { lines, totalCents, shipBy } = openedOrder(orderId)
  const { proposal, weightGrams, international } = parcelQuote()
  const { carrier = '', service = '', priceCents = 0 } = proposal ?? {}
  const plan: ApprovalPlan = {
    ...{ orderId, round: 1, totalCents, currency: 'USD', shipTo, shipBy, overrides: [] },
    lines: lines.map(({ sku, quantity, unitPriceCents }) => {
      return { sku, quantity, unitPriceCents, inStock: true }
    }),
    shipment: { carrier, service, priceCents, weightGrams, international },
    ...change,
  }
  return { by: 'olga', digest: digestOf(plan), plan }
}

export async function createWorld(db: TestDatabase, options: WorldOptions = {}) {
  const { planning = 'auto', model = modelOf({ plan: plans(), decide: decides('ship') }) } = options
  const row = await placeOrder(
    db,
    options.request === undefined ? {} : { request: options.request },
  )
  const { orderId, round, traceId } = row
  const services = servicesOf(options.answers)
  const engine = new MemoryEngine()
  const resumed = new MemoryEngine()
  let resumeInput: ResumeInput | undefined
  const endings: Ending[] = []
  const agent = { ...around, model }
  const deps: FlowDeps = {
    ...services.callers,
    pool: db,
    log: agent.log,
    retry: { attemptsMax: 3, backoffMinMs: 1, backoffMaxMs: 2 },
    agent,
    planAgent: settings,
    decideAgent: settings,
    orderLimitCents: 500_000,
    onEnd: (ending) => endings.push(ending),
  }
  const approval = options.approved && approvalOf(orderId, options.approved)
  const input: FlowInput = {
    orderId,
    round,
    request: row.request,
    traceId,
    acceptedAtMs: row.createdAt.getTime(),
    rules: { planning, patience, rulesOnlyLimitCents: 50_000 },
    ...(approval && { approval }),
  }
  if (approval) {
    await db.query('update customer_order set approval = $2 where order_id = $1', [
      orderId,
      approval,
    ])
  }

  async function goOn(death?: Death) {
    // As on the real engine, a run that is started again keeps its first input.
    resumeInput ??= await resumeInputOf(db, await readOrder(db, orderId), patience)
    return resumed.run(createResumeOrder(deps), orderId, resumeInput, death)
  }

  return {
    orderId,
    deps,
    services,
    engine,
    endings,
    /** True when the run came to its end. `change`: as if the process was started otherwise. */
    run: (death?: Death, change: Partial<FlowDeps> = {}, onRecorded?: () => void) => {
      const flow = createFulfillOrder({ ...deps, ...change })
      const workflow: Workflow<FlowInput> = (context, given) => flow(context, given, onRecorded)
      return engine.run(workflow, orderId, input, death)
    },
    /** The run that the order's row asks for once it was stuck and a person sent it on. */
    async resume(death?: Death) {
      const row = await readOrder(db, orderId)
      if (row.status === 'stuck') await resumeOrder(db, row, 'olga')
      return goOn(death)
    },
    /** The same once it was held, and its client (`cancelling`) or a person ends it otherwise. */
    async dismiss(ending: StoredEnding, phase: 'ending' | 'cancelling', death?: Death) {
      const row = await readOrder(db, orderId)
      if (row.status === 'held') await dismissOrder(db, row, { by: 'olga' }, ending, phase)
      return goOn(death)
    },
    resumed,
    order: () => readOrder(db, orderId),
    /** How the order ended, in short. */
    async end() {
      const { status, code, phase } = await readOrder(db, orderId)
      return { status, code, phase }
    },
    reports: async () => (await readStepReports(db, orderId)).map(({ report }) => report),
    events: async () => {
      const found = await db.query<{ type: string; data: { name?: string; status?: string } }>(
        'select type, data from order_event where order_id = $1 order by seq',
        [orderId],
      )
      return found.rows.map(({ type, data }) => `${type} ${data.name ?? data.status}`)
    },
  }
}
