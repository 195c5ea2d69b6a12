/** What happened to an order, in order: written by its run, read by answers and event streams. */
import type { z } from 'zod'
import type { Db } from '../platform/db.ts'
import type { WireError } from '../platform/errors.ts'
import type { agentRecord } from '../platform/tool.ts'
import type { Phase } from './order-store.ts'
import { storableJson } from './storable.ts'

export const channel = 'order_event'

export type EventType =
  | 'step_started'
  | 'step_finished'
  | 'order_finished'
  // A person's doing: each begins another round or run, or ends a held order.
  | 'order_approved'
  | 'order_edited'
  | 'order_resumed'
  | 'order_dismissed'

export interface OrderEvent {
  readonly seq: number
  readonly round: number
  readonly type: EventType
  readonly data: unknown
  readonly at: Date
}

/** The data of `step_finished`. */
export interface StepReport {
  readonly name: string
  readonly service: string
  readonly tool: string
  readonly state: 'done' | 'failed'
  readonly attempts: number
  readonly durationMs: number
  readonly result: unknown
  readonly error?: WireError
  readonly agent?: z.infer<typeof agentRecord>
}

export interface NewEvent {
  readonly orderId: string
  readonly round: number
  /** One event per key: a step that runs again after a crash writes its event once. */
  readonly key: string
  readonly type: EventType
  readonly data: unknown
}

export interface Appended {
  /** Of the order, as of then: a run learns of a cancel without asking. */
  readonly phase: Phase
  /** False when there was an event of such a key: the first one stays. */
  readonly isNew: boolean
}

/** Appends one event and tells every listener on every replica. */
export async function appendEvent(db: Db, event: NewEvent): Promise<Appended> {
  return appendEvents(db, event, [event])
}

/** Whose events they are: the round, and which run of it (0, then one more for each resume). */
export interface EventSource {
  readonly orderId: string
  readonly round: number
  readonly resume?: number
}

/**
 * Appends several events of one run, in this order, in one statement. Only the present run counts as
 * started by them: an earlier one may still tell the order service how it ended.
 */
export async function appendEvents(
  db: Db,
  { orderId, round, resume = 0 }: EventSource,
  events: readonly Pick<NewEvent, 'key' | 'type' | 'data'>[],
): Promise<Appended> {
  const appended = await db.query<{ phase: Phase; written: number }>(
    `with numbered as (
       update customer_order
          set event_seq = event_seq + cardinality($3::text[]),
              is_started = is_started or (round = $2 and resumes = $7)
        where order_id = $1
       returning event_seq - cardinality($3::text[]) as before, phase
     ), written as (
       insert into order_event (order_id, seq, event_key, round, type, data)
       select $1, before + nr, key, $2, type, data
         from numbered,
              unnest($3::text[], $4::text[], $5::jsonb[]) with ordinality as e (key, type, data, nr)
       on conflict (order_id, event_key) do nothing
       returning seq
     )
     select phase, (select count(*)::int from written) as written,
            pg_notify('${channel}', $1::text || ' ' || $6)
       from numbered`,
    [
      orderId,
      round,
      events.map((event) => event.key),
      events.map((event) => event.type),
      events.map((event) => storableJson(event.data)),
      events.at(-1)?.type,
      resume,
    ],
  )
  const row = appended.rows[0]
  if (row === undefined) throw new Error(`No order ${orderId} to write an event of`)
  return { phase: row.phase, isNew: row.written === events.length }
}

/** The report of one step that ended, by the key of its event; undefined when it has not. */
export async function findStepReport(
  db: Db,
  orderId: string,
  key: string,
): Promise<StepReport | undefined> {
  const found = await db.query<{ data: StepReport }>(
    `select data from order_event where order_id = $1 and event_key = $2`,
    [orderId, key],
  )
  return found.rows[0]?.data
}

/** Like `findStepReport`, of a step that is known to have ended. */
export async function readStepReport(db: Db, orderId: string, key: string): Promise<StepReport> {
  const report = await findStepReport(db, orderId, key)
  if (report === undefined) throw new Error(`No event ${key} of order ${orderId}`)
  return report
}

/** Events after `afterSeq`, oldest first, as clients may see them: without what agents' tools found. */
export async function readEvents(
  db: Db,
  orderId: string,
  afterSeq: number,
  limit: number,
): Promise<OrderEvent[]> {
  const found = await db.query<OrderEvent>(
    `select seq, round, type, data, at from order_event
      where order_id = $1 and seq > $2
      order by seq
      limit $3`,
    [orderId, afterSeq, limit],
  )
  return found.rows.map((event) => ({ ...event, data: withoutEvidence(event.data) }))
}

/** Evidence may tell of orders that other clients placed for the same customer. */
function withoutEvidence(data: unknown): unknown {
  const { agent } = data as Partial<StepReport>
  if (agent === undefined || agent === null) return data
  const toolCalls = agent.toolCalls.map(({ name, ok }) => ({ name, ok }))
  return { ...(data as object), agent: { ...agent, toolCalls } }
}

/** The reports of all steps that ended, in the order in which they ended. */
export async function readStepReports(
  db: Db,
  orderId: string,
): Promise<{ round: number; report: StepReport }[]> {
  const found = await db.query<{ round: number; report: StepReport }>(
    `select round, data as report from order_event
      where order_id = $1 and type = 'step_finished'
      order by seq`,
    [orderId],
  )
  return found.rows
}
