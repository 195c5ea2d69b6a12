/** The stored answers of propose_shipment: one for each round of an order, the first one for good. */
import type { Pool } from '../../platform/db.ts'
import { rejected } from '../../platform/errors.ts'
import type { Proposal, ShipmentRequest } from './shipment-rules.ts'

/** The effect key: one shipment, whatever repeats. */
export interface ShipmentKey {
  readonly orderId: string
  readonly round: number
}

/**
 * The answer stored for this key; undefined before the first.
 *
 * @throws rejected `label_voided` when an undo came first.
 * @throws rejected `shipment_changed` when it was asked with other content.
 */
export async function findProposal(
  pool: Pool,
  key: ShipmentKey,
  request: ShipmentRequest,
): Promise<Proposal | undefined> {
  const { rows } = await pool.query<{ state: string; answer: Proposal; same: boolean }>(
    `select state, answer, request = $3::jsonb as same
       from shipment
      where order_id = $1 and round = $2`,
    [key.orderId, key.round, JSON.stringify(request)],
  )
  const [row] = rows
  if (row === undefined) return undefined
  if (row.state === 'voided') throw labelVoided(key)
  if (!row.same) {
    throw rejected('shipment_changed', 'Another shipment was proposed for this round', {
      next: 'Start a new round for a changed order.',
    })
  }
  return row.answer
}

/**
 * Stores an answer, unless one is stored: of two at once the first wins, and both get it.
 *
 * @throws rejected `label_voided` or `shipment_changed`, as `findProposal`.
 */
export async function storeProposal(
  pool: Pool,
  key: ShipmentKey,
  request: ShipmentRequest,
  answer: Proposal,
): Promise<Proposal> {
  const { proposal, weightGrams } = answer
  const inserted = await pool.query(
    `insert into shipment
       (order_id, round, state, request, weight_grams, answer, carrier, service, price_cents)
     values ($1, $2, 'proposed', $3, $4, $5, $6, $7, $8)
     on conflict (order_id, round) do nothing`,
    [
      key.orderId,
      key.round,
      JSON.stringify(request),
      weightGrams,
      JSON.stringify(answer),
      proposal?.carrier,
      proposal?.service,
      proposal?.priceCents,
    ],
  )
  if (inserted.rowCount === 1) return answer
  // Rows are never deleted, so the one that was in the way is still there.
  return (await findProposal(pool, key, request)) ?? answer
}

export const labelVoided = ({ orderId, round }: ShipmentKey) =>
  rejected('label_voided', `The shipment of round ${round} of order ${orderId} was voided`, {
    next: 'Start a new round if the order is to be shipped after all.',
  })
