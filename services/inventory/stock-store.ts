/** What is there, what may replace it, and the one way to change it by hand. */
import { type Db, inTransaction, type Pool, type Tx } from '../../platform/db.ts'
import { missing, rejected } from '../../platform/errors.ts'
import type { StockFact, SubstituteFact } from './stock-rules.ts'

/** Stock of the skus asked for, in the order of their skus; unknown ones are left out. */
export async function findStock(db: Db, skus: readonly string[]): Promise<StockFact[]> {
  const { rows } = await db.query<StockFact>(
    `select sku, name, available, restock_date as "restockDate"
       from stock
      where sku = any($1)
      order by sku`,
    [skus],
  )
  return rows
}

/** A page of what is stocked, by sku, after the given one. */
export async function listSkus(
  db: Db,
  after: string,
  limit: number,
): Promise<{ sku: string; name: string }[]> {
  const { rows } = await db.query<{ sku: string; name: string }>(
    'select sku, name from stock where sku > $1 order by sku limit $2',
    [after, limit],
  )
  return rows
}

/** What may be offered instead of each of the skus, best first. */
export async function findSubstitutes(db: Db, skus: readonly string[]): Promise<SubstituteFact[]> {
  const { rows } = await db.query<SubstituteFact>(
    `select u.sku as "insteadOf", s.sku, s.name, s.available, s.restock_date as "restockDate"
       from substitute u
       join stock s on s.sku = u.substitute_sku
      where u.sku = any($1)
      order by u.sku, u.rank`,
    [skus],
  )
  return rows
}

export interface StockCount {
  /** The effect key: the same id sets the same stock once. */
  readonly requestId: string
  readonly sku: string
  readonly available: number
  readonly reason: string
  /** Who asks, for the history. */
  readonly clientId: string
}

export interface StockSet {
  readonly sku: string
  readonly available: number
  /** Units put in, or taken out when negative. */
  readonly adjustment: number
}

/**
 * Sets the units of a sku that are free to sell, by an adjustment of the difference. Held and
 * committed units stay as they are.
 *
 * Safe to repeat: a second call with the same request id answers like the first and writes nothing,
 * whatever was sold in between.
 *
 * @throws missing `unknown_sku`.
 * @throws rejected `request_changed` when the id came with another sku, number or reason before.
 */
export async function setStock(pool: Pool, count: StockCount): Promise<StockSet> {
  const { requestId, sku, available, reason, clientId } = count
  return inTransaction(pool, async (tx) => {
    const before = await lockAvailable(tx, sku)
    const adjustment = available - before
    const inserted = await tx.query(
      `insert into stock_adjustment
         (request_id, sku, quantity, available_after, reason, adjusted_by)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (request_id) do nothing`,
      [requestId, sku, adjustment, available, reason, clientId],
    )
    if (inserted.rowCount === 0) return firstAnswer(tx, count)

    await tx.query(
      `update stock
          set available = available + $2,
              adjusted = adjusted + $2
        where sku = $1`,
      [sku, adjustment],
    )
    return { sku, available, adjustment }
  })
}

/** The free units of a sku, which nobody else can change until this transaction ends. */
async function lockAvailable(tx: Tx, sku: string): Promise<number> {
  const { rows } = await tx.query<{ available: number }>(
    `select available from stock where sku = $1 for no key update`,
    [sku],
  )
  if (rows[0] !== undefined) return rows[0].available
  throw missing('unknown_sku', `There is no stock of ${sku}`, {
    next: 'Check the spelling; a new sku is added by the operator of the database.',
  })
}

async function firstAnswer(tx: Tx, { requestId, ...asked }: StockCount): Promise<StockSet> {
  const { rows } = await tx.query<StockSet & { reason: string }>(
    `select sku, available_after as available, quantity as adjustment, reason
       from stock_adjustment
      where request_id = $1`,
    [requestId],
  )
  const [first] = rows
  if (
    first?.sku !== asked.sku ||
    first.available !== asked.available ||
    first.reason !== asked.reason
  ) {
    throw rejected('request_changed', `Request ${requestId} was made before with other content`, {
      next: 'Use a new requestId for another change.',
    })
  }
  return { sku: first.sku, available: first.available, adjustment: first.adjustment }
}
