/** One order and everything its run needs: real tables, a table of answers, a scripted model. */

import type { Workflow } from '../../../orchestrator/engine/seam.ts'
import { readStepReports } from '../../../orchestrator/order-events.ts'
import type { OrderRequest } from '../../../orchestrator/order-request.ts'
import { readOrder } from '../../../orchestrator/order-store.ts'
import type { Ending } from '../../../orchestrator/workflows/endings.ts'
import {
  createFulfillOrder,
  type FlowDeps,
  type FlowInput,
} from '../../../orchestrator/workflows/fulfill-order.ts'
import type { Planning } from '../../../orchestrator/workflows/plan-rules.ts'
import { defaultLimits } from '../../../platform/agent-types.ts'
import type { Model } from '../../../platform/model.ts'
import type { TestDatabase } from '../../support/database.ts'
import { agentDeps, answers } from '../../support/scripted-model.ts'
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
}

// One set of metrics for all worlds: each set watches the process.
const around = agentDeps(modelOf({}))
const settings = { model: 'claude-opus-5-5', effort: 'low', limits: defaultLimits } as const

export async function createWorld(db: TestDatabase, options: WorldOptions = {}) {
  const { planning = 'auto', model = modelOf({ plan: plans(), decide: decides('ship') }) } = options
  const row = await placeOrder(
    db,
    options.request === undefined ? {} : { request: options.request },
  )
  const { orderId, round, traceId } = row
  const services = servicesOf(options.answers)
  const engine = new MemoryEngine()
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
  const input: FlowInput = {
    orderId,
    round,
    request: row.request,
    traceId,
    acceptedAtMs: row.createdAt.getTime(),
    rules: { planning, patience: { roundsMax: 3, waitMinMs: 1, waitMaxMs: 1 } },
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
