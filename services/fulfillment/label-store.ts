/**
 * The row of a shipment on its way from proposal to label and back. Every change is one statement,
 * guarded by the state it starts from; what it returns, or returns not, says who came first.
 */
import type { Pool } from '../../platform/db.ts'
import type { Postage } from './carrier-answers.ts'
import type { ShipmentKey } from './proposal-store.ts'
import type { RefundState, ShipmentRequest } from './shipment-rules.ts'

export interface ShipmentRow {
  readonly state: 'proposed' | 'buying' | 'bought' | 'voided'
  readonly request: ShipmentRequest | null
  readonly weightGrams: number | null
  /** What is to be bought; null when nothing is. */
  readonly choice: Choice | null
  readonly carrierShipmentId: string | null
  /** A purchase whose outcome nobody has told yet, within its time. */
  readonly buyUnderWay: boolean
  readonly label: StoredLabel | null
  readonly refund: RefundState
}

export interface Choice {
  readonly carrier: string
  readonly service: string
  readonly priceCents: number
}

export interface StoredLabel {
  readonly trackingNumber: string
  readonly costCents: number
  readonly carrierUrl: string
}

/** Everything but the document, which is large. */
const columns = `
  state, request, weight_grams as "weightGrams", carrier_shipment_id as "carrierShipmentId",
  coalesce(buy_until > now(), false) as "buyUnderWay", refund,
  case when carrier is not null then
    json_build_object('carrier', carrier, 'service', service, 'priceCents', price_cents)
  end as choice,
  case when tracking_number is not null then
    json_build_object('trackingNumber', tracking_number, 'costCents', label_cost_cents,
                      'carrierUrl', carrier_label_url)
  end as label`

/** Runs a statement that names one shipment by $1 and $2; its row, or undefined. */
async function one(
  pool: Pool,
  sql: string,
  { orderId, round }: ShipmentKey,
  ...rest: readonly unknown[]
): Promise<ShipmentRow | undefined> {
  const { rows } = await pool.query<ShipmentRow>(sql, [orderId, round, ...rest])
  return rows[0]
}

/** Runs a statement that names one shipment by $1 and $2; whether it changed anything. */
async function changed(
  pool: Pool,
  sql: string,
  { orderId, round }: ShipmentKey,
  ...rest: readonly unknown[]
): Promise<boolean> {
  const { rowCount } = await pool.query(sql, [orderId, round, ...rest])
  return rowCount === 1
}

export function readShipment(pool: Pool, key: ShipmentKey): Promise<ShipmentRow | undefined> {
  return one(pool, `select ${columns} from shipment where order_id = $1 and round = $2`, key)
}

/** Sets out to buy; undefined when there is nothing to buy, or no more. */
export function startBuying(pool: Pool, key: ShipmentKey): Promise<ShipmentRow | undefined> {
  return one(
    pool,
    `update shipment
        set state = 'buying'
      where order_id = $1 and round = $2
        and state in ('proposed', 'buying')
        and carrier is not null
      returning ${columns}`,
    key,
  )
}

/** Takes the carrier's shipment for this row. False when another was taken, or it was voided. */
export function takeCarrierShipment(
  pool: Pool,
  key: ShipmentKey,
  carrierShipmentId: string,
): Promise<boolean> {
  return changed(
    pool,
    `update shipment
        set carrier_shipment_id = $3
      where order_id = $1 and round = $2
        and state = 'buying'
        and carrier_shipment_id is null`,
    key,
    carrierShipmentId,
  )
}

/**
 * Announces a purchase that ends within `timeMs`, so that an undo waits for it. False when there is
 * nothing to buy any more. Purchases announced before and long over are forgotten.
 */
export function beginPurchase(pool: Pool, key: ShipmentKey, timeMs: number): Promise<boolean> {
  return changed(
    pool,
    `update shipment
        set buys_under_way = case when buy_until > now() then buys_under_way else 0 end + 1,
            buy_until = now() + $3 * interval '1 millisecond'
      where order_id = $1 and round = $2
        and state = 'buying'`,
    key,
    timeMs,
  )
}

/** Takes an announced purchase back: the carrier refused it, nothing was bought. */
export async function endPurchase(pool: Pool, key: ShipmentKey): Promise<void> {
  await changed(
    pool,
    `update shipment
        set buys_under_way = buys_under_way - 1,
            buy_until = case when buys_under_way > 1 then buy_until end
      where order_id = $1 and round = $2
        and buys_under_way > 0`,
    key,
  )
}

/** Records what was bought; undefined when the shipment is not being bought any more. */
export function recordBought(
  pool: Pool,
  key: ShipmentKey,
  postage: Postage,
): Promise<ShipmentRow | undefined> {
  return one(
    pool,
    `update shipment
        set state = 'bought', ${labelColumns}
      where order_id = $1 and round = $2
        and state = 'buying'
      returning ${columns}`,
    key,
    ...labelValues(postage),
  )
}

/** Voids a shipment, whatever it is; without a row, leaves a tombstone. */
export async function markVoided(pool: Pool, key: ShipmentKey): Promise<ShipmentRow> {
  const voided = await one(
    pool,
    `insert into shipment (order_id, round, state, voided_at)
     values ($1, $2, 'voided', now())
     on conflict (order_id, round) do update
       set state = 'voided', voided_at = coalesce(shipment.voided_at, now())
     returning ${columns}`,
    key,
  )
  if (voided === undefined) throw new Error('an upsert returned no row')
  return voided
}

/** Records a voided label and how its refund stands. Repeating it with what is stored is harmless. */
export async function recordRefund(
  pool: Pool,
  key: ShipmentKey,
  postage: Postage,
  refund: RefundState,
): Promise<void> {
  await changed(
    pool,
    `update shipment
        set refund = $7, ${labelColumns}
      where order_id = $1 and round = $2
        and state = 'voided'`,
    key,
    ...labelValues(postage),
    refund,
  )
}

// Bought postage ends every purchase under way: the carrier sells it once.
const labelColumns = `
            carrier_rate_id = $3, tracking_number = $4, label_cost_cents = $5,
            carrier_label_url = $6, bought_at = coalesce(bought_at, now()),
            buys_under_way = 0, buy_until = null`

const labelValues = ({ rateId, trackingNumber, costCents, labelUrl }: Postage) => [
  rateId,
  trackingNumber,
  costCents,
  labelUrl,
]

export async function readDocument(pool: Pool, key: ShipmentKey): Promise<Buffer | null> {
  const { rows } = await pool.query<{ document: Buffer | null }>(
    `select label_document as document from shipment where order_id = $1 and round = $2`,
    [key.orderId, key.round],
  )
  return rows[0]?.document ?? null
}

/** Stores the label's document; the first one stays. */
export async function storeDocument(pool: Pool, key: ShipmentKey, document: Buffer): Promise<void> {
  await pool.query(
    `update shipment
        set label_document = $3
      where order_id = $1 and round = $2
        and tracking_number is not null
        and label_document is null`,
    [key.orderId, key.round, document],
  )
}
