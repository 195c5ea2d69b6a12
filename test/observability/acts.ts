/** What goes wrong on purpose, so that every panel and the important alerts have something to show. */
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../support/wait-for.ts'
import type { Notice } from './alertmanager.ts'
import type { Stage } from './stage.ts'
import { beginOrders, failModel, oneOrder, resume } from './traffic.ts'

const alertMs = 45_000
const settleMs = 60_000
const modelTroubleMs = 8_000
const faultsMax = 400
const ordersToTakeOver = 4

/** Stock for as many orders as a run sends. */
export async function restock({ sql }: Stage): Promise<void> {
  await sql(
    'inventory',
    `with restocked as (
       update stock set available = available + 5000, adjusted = adjusted + 5000
        where sku in ('ABC123', 'DEF457') returning sku, available)
     insert into stock_adjustment
       (request_id, sku, quantity, available_after, reason, adjusted_by)
     select gen_random_uuid(), sku, 5000, available, 'For a test', 'test' from restocked`,
  )
}

/** Haiku answers 429, Opus 529: the ladder goes down to Sonnet and to rules. */
export async function troubleModels({ platform }: Stage): Promise<void> {
  const standin = platform.urls['claude-standin']
  await failModel(standin, [
    { kind: 'status', status: 429, model: 'haiku', times: faultsMax },
    { kind: 'status', status: 529, model: 'opus', times: faultsMax },
  ])
  await delay(modelTroubleMs)
  await failModel(standin, [])
}

/** Requests with a token that nobody signed, to each service. */
export async function forgeTokens({ platform }: Stage): Promise<void> {
  for (const name of ['order', 'inventory', 'fulfillment'] as const) {
    for (const authorization of ['Bearer forged', undefined]) {
      const headers = {
        'content-type': 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      }
      await fetch(`${platform.urls[name]}/mcp`, { method: 'POST', headers, body: '{}' })
    }
  }
}

/** An order gets stuck after its label was bought; the alert comes, a resume ends it. */
export async function stickAnOrder(stage: Stage): Promise<void> {
  await stage.sql(
    'inventory',
    `create or replace function refuse_commit() returns trigger language plpgsql as
       $$ begin if new.state = 'committed' then raise exception 'not now'; end if; return new; end $$`,
  )
  await stage.sql(
    'inventory',
    `create trigger refuse_commit before update on reservation
       for each row execute function refuse_commit()`,
  )
  const { status } = await oneOrder(stage.orchestrators[0] ?? '')
  if (status !== 'stuck') throw new Error(`The order should be stuck and is ${status}`)
  await told(stage, 'firing', 'OrdersStuck')
  await stage.sql('inventory', 'drop trigger refuse_commit on reservation')
  await resumeAll(stage)
  await told(stage, 'resolved', 'OrdersStuck')
}

/** A service dies: breakers open, orders are held, the alert comes and goes with its return. */
export async function loseFulfillment(stage: Stage): Promise<void> {
  await stage.platform.kill('fulfillment')
  await told(stage, 'firing', 'ServiceAbsent', { service: 'fulfillment' })
  await stage.platform.start('fulfillment')
  await told(stage, 'resolved', 'ServiceAbsent', { service: 'fulfillment' })
  await resumeAll(stage)
}

/** An orchestrator dies with orders in flight; the other one takes them over. */
export async function loseAnOrchestrator(stage: Stage): Promise<void> {
  // Traffic alone may leave it idle at the moment of its death: then nothing is taken over.
  await beginOrders(stage.orchestrators[1] ?? '', ordersToTakeOver)
  await stage.platform.kill('orchestrator-2')
  const recovered = async () => {
    const [sum] = await stage.prometheus.query('sum(workflow_recoveries_total)')
    return Number(sum?.value?.[1] ?? 0) > 0
  }
  await waitFor(recovered, { timeoutMs: settleMs, what: 'runs to be taken over' })
  await stage.platform.start('orchestrator-2')
}

/** Resumes what is stuck until nothing is. */
export async function resumeAll({ sql, orchestrators }: Stage): Promise<void> {
  const noneLeft = async () => {
    const stuck = await sql(
      'orchestrator',
      `select order_id from customer_order where status = 'stuck'`,
    )
    for (const row of stuck) await resume(orchestrators[0] ?? '', String(row.order_id))
    await delay(500)
    return stuck.length === 0
  }
  await waitFor(noneLeft, { timeoutMs: settleMs, what: 'stuck orders to go on' })
}

async function told(
  { alertmanager }: Stage,
  status: Notice['status'],
  alertname: string,
  wanted: Readonly<Record<string, string>> = {},
): Promise<void> {
  const matches = (notice: Notice) =>
    notice.status === status &&
    Object.entries({ ...wanted, alertname }).every(([key, value]) => notice.labels[key] === value)
  await waitFor(() => alertmanager.notices.some(matches), {
    timeoutMs: alertMs,
    what: `the webhook to be told that ${alertname} is ${status}`,
  })
}
