/** Stock for tests, and the books that must balance whatever happened. */
import assert from 'node:assert/strict'
import type { Pool } from '../../../platform/db.ts'

/** Empties every table, then puts `units` in stock by adjustments. */
export async function resetStock(pool: Pool, units: Readonly<Record<string, number>>) {
  await pool.query(
    `alter table stock_adjustment disable trigger stock_adjustment_append_only;
     truncate stock, stock_adjustment, substitute, reservation, reservation_line;
     alter table stock_adjustment enable trigger stock_adjustment_append_only`,
  )
  await pool.query(
    `with added as (
       insert into stock (sku, name, available, adjusted)
       select sku, 'Some ' || sku, units, units from unnest($1::text[], $2::bigint[]) u (sku, units)
       returning sku, adjusted
     )
     insert into stock_adjustment (request_id, sku, quantity, available_after, reason, adjusted_by)
     select gen_random_uuid(), sku, adjusted, adjusted, 'Test', 'test' from added`,
    [Object.keys(units), Object.values(units)],
  )
}

export interface Units {
  readonly available: number
  readonly held: number
  readonly committed: number
}

/** Where the units of a sku are. */
export async function unitsOf(pool: Pool, sku: string): Promise<Units | undefined> {
  const { rows } = await pool.query<Units>(
    `select available, held, committed from stock where sku = $1`,
    [sku],
  )
  return rows[0]
}

/** Every unit is where its reservation says, and all together are what was ever put in. */
export async function assertBooksBalance(pool: Pool): Promise<void> {
  const { rows } = await pool.query(
    `select s.sku, s.available, s.held, s.committed, s.adjusted,
            coalesce(sum(l.quantity) filter (where r.state = 'held'), 0)::int as "heldByLines",
            coalesce(sum(l.quantity) filter (where r.state = 'committed'), 0)::int
              as "committedByLines",
            (select coalesce(sum(quantity), 0)::int from stock_adjustment a where a.sku = s.sku)
              as "sumOfAdjustments"
       from stock s
       left join reservation_line l using (sku)
       left join reservation r using (order_id, round)
      group by s.sku
      order by s.sku`,
  )
  assert.ok(rows.length > 0)
  for (const row of rows) {
    assert.equal(row.held, row.heldByLines, `held of ${row.sku}`)
    assert.equal(row.committed, row.committedByLines, `committed of ${row.sku}`)
    assert.equal(row.adjusted, row.sumOfAdjustments, `adjusted of ${row.sku}`)
    assert.equal(row.available + row.held + row.committed, row.sumOfAdjustments, row.sku)
    assert.ok(row.available >= 0, `available of ${row.sku}`)
  }
}
