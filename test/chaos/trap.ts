/**
 * Waits, from outside, for the moment of a cell, and strikes in it. For calls the proxies see the
 * moment; records are seen in the database; the pivot, which calls nobody, is caught between two
 * database locks.
 */
import type pg from 'pg'
import type { Hooks, SeenCall } from './call-proxy.ts'
import type { Cell } from './cells.ts'
import type { Stage } from './stage.ts'

export interface Prey {
  readonly traceId: string
}

/** Where the strike lands: the replica that serves the trapped call. */
export type Strike = (serving: string) => Promise<void>

const reachMs = 20_000
const inCallMsMax = 3
/** A dead orchestrator's last call may reach its service this much later. */
const lateMsMax = 2_500

/**
 * Resolves once the strike has landed in the cell's moment.
 *
 * @throws Error when the order does not get there in time, or the moment was over too soon.
 */
export async function trap(
  stage: Stage,
  cell: Cell,
  prey: Prey,
  strike: Strike,
  { random, isRetry }: { readonly random: () => number; readonly isRetry: boolean },
): Promise<void> {
  if (cell.step.name === 'pivot') return trapPivot(stage, cell, prey, () => strike(''))
  const caught = Promise.withResolvers<void>()
  const isPrey = preyMatcher(stage, prey)
  // The carrier is called by the replica that serves generate_label.
  let buyer: string | undefined
  let isSet = true
  const land = async (call: SeenCall) => {
    const serving = call.step.startsWith('carrier_') ? buyer : undefined
    await strike(serving ?? call.backend).then(caught.resolve, caught.reject)
  }
  const set: Trap = { land, fail: caught.reject, random, isRetry }
  for (const link of stage.links) {
    link.intercept = async (call) => {
      const isWanted = call.step === cell.step.name
      const isOuter = call.step === 'generate_label'
      if (!isSet || (!isWanted && !isOuter) || !(await isPrey(call))) return undefined
      if (isOuter) buyer = call.backend
      if (!isWanted || !isSet) return undefined
      isSet = false
      return hooksFor(stage, cell, prey, set)
    }
  }
  try {
    await within(reachMs, caught.promise, 'The order did not get there')
  } finally {
    release(stage)
  }
}

interface Trap {
  readonly land: (call: SeenCall) => Promise<void>
  readonly fail: (error: unknown) => void
  readonly random: () => number
  /** The moment was over too soon before: strike at once. */
  readonly isRetry: boolean
}

/** What happens to the one call that the trap was set for. */
function hooksFor(
  stage: Stage,
  cell: Cell,
  prey: Prey,
  { land, fail, random, isRetry }: Trap,
): Hooks {
  switch (cell.moment) {
    case 'before':
      return {
        before: async (call) => {
          await land(call)
          if (cell.victim === 'orchestrator') await wait(random() * lateMsMax)
        },
      }
    case 'in':
      return {
        during: (call, isAnswered) => {
          if (isRetry) return void land(call)
          setTimeout(() => {
            if (isAnswered()) fail(new Error('The call was answered too soon'))
            else void land(call)
          }, random() * inCallMsMax)
        },
      }
    case 'effect':
      return { after: land }
    case 'record':
      return {
        after: async (call) => void recorded(stage, cell, prey).then(() => land(call), fail),
      }
  }
}

/** Whether a call belongs to the prey. Model turns and the carrier know its id only. */
function preyMatcher(stage: Stage, prey: Prey): (call: SeenCall) => Promise<boolean> {
  let known: string | undefined
  return async ({ traceId, orderId }) => {
    if (traceId !== undefined) return traceId === prey.traceId
    if (orderId === undefined) return false
    known ??= await orderIdOf(stage, prey)
    return orderId === known
  }
}

function release(stage: Stage): void {
  for (const link of stage.links) link.intercept = undefined
}

/** Until the step's own record is in a database. */
async function recorded(stage: Stage, { step }: Cell, prey: Prey): Promise<void> {
  const orderId = await orderIdOf(stage, prey)
  const inner = shipmentRecords[step.name]
  if (inner === undefined) return pollFast(hasRecord(stage, prey, step.record ?? step.name))
  const sql = `select 1 from shipment where order_id = $1 and ${inner}`
  await pollFast(async () => (await stage.rows('fulfillment', sql, [orderId])).length > 0)
}

/** Steps within generate_label are recorded in the shipment's row. */
const shipmentRecords: Readonly<Record<string, string>> = {
  carrier_create: 'carrier_shipment_id is not null',
  carrier_buy: `state = 'bought'`,
}

const hasRecord = (stage: Stage, prey: Prey, name: string) => async () => {
  const sql = `select 1 from dbos.operation_outputs
                where workflow_uuid = $1::text || ':1' and function_name = $2`
  const orderId = await orderIdOf(stage, prey)
  return (await stage.rows('orchestrator', sql, [orderId, name])).length > 0
}

/**
 * The pivot is one update of the order's row between two records. A lock on the engine's table stops
 * the run before its decision is recorded; a lock on the row then stops the update, the table's lock
 * its record.
 */
async function trapPivot(
  stage: Stage,
  { moment }: Cell,
  prey: Prey,
  strike: () => Promise<void>,
): Promise<void> {
  if (moment === 'before') {
    await pollFast(hasRecord(stage, prey, 'decide'))
    return strike()
  }
  if (moment === 'record') {
    await pollFast(hasRecord(stage, prey, 'pivot'))
    return strike()
  }
  const [table, row] = [await stage.connect('orchestrator'), await stage.connect('orchestrator')]
  try {
    const orderId = await atDecision(stage, prey, () => lockRecords(table))
    await pollFast(async () => {
      const sql = `select 1 from order_event where order_id = $1 and event_key = '1:decide:step_finished'`
      return (await stage.rows('orchestrator', sql, [orderId])).length > 0
    })
    await row.query('begin')
    await row.query('select 1 from customer_order where order_id = $1 for update', [orderId])
    await table.query('commit')
    await blockedBy(stage, row)
    if (moment === 'in') return await strike()
    await lockRecords(table)
    await row.query('commit')
    await pollFast(async () => {
      const sql = `select 1 from customer_order where order_id = $1 and phase = 'committed'`
      return (await stage.rows('orchestrator', sql, [orderId])).length > 0
    })
    await strike()
  } finally {
    // With Postgres gone, so are the locks.
    await Promise.all([table, row].map((client) => client.end().catch(() => {})))
  }
}

async function lockRecords(client: pg.Client): Promise<void> {
  await client.query('begin')
  await client.query('lock table dbos.operation_outputs in share row exclusive mode')
}

/** Holds the deciding model's last answer until `ready` is done; the order's id. */
async function atDecision(stage: Stage, prey: Prey, ready: () => Promise<void>): Promise<string> {
  const reached = Promise.withResolvers<string>()
  for (const link of stage.links) {
    link.intercept = async (call) => {
      if (call.step !== 'decide') return undefined
      const orderId = await orderIdOf(stage, prey)
      if (orderId === undefined || orderId !== call.orderId) return undefined
      return {
        after: async () => {
          await ready().catch(reached.reject)
          reached.resolve(orderId)
        },
      }
    }
  }
  try {
    return await within(reachMs, reached.promise, 'The order was not decided')
  } finally {
    release(stage)
  }
}

/** Until a statement waits for a lock that `client` holds. */
async function blockedBy(stage: Stage, client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const sql = `select 1 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))`
  await pollFast(async () => (await stage.rows('orchestrator', sql, [rows[0]?.pid])).length > 0)
}

export async function orderIdOf(stage: Stage, { traceId }: Prey): Promise<string | undefined> {
  const sql = 'select order_id from customer_order where trace_id = $1'
  const [found] = await stage.rows<{ order_id: string }>('orchestrator', sql, [traceId])
  return found?.order_id
}

/** Asks without pausing longer than a turn of the event loop or two: moments are short. */
async function pollFast(condition: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + reachMs
  while (!(await condition())) {
    if (Date.now() > until) throw new Error('The moment did not come')
    await wait(2)
  }
}

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} within ${ms / 1_000} s`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
