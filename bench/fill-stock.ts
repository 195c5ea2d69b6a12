/** Stock for as many orders as a benchmark sends. */
import pg from 'pg'
import type { Platform } from '../launcher/platform.ts'

/** Adds units of a sku, by an adjustment as an operator's. */
export async function fillStock(
  { databaseUrls }: Platform,
  sku: string,
  units: number,
): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrls.inventory })
  await client.connect()
  await client.query(
    `with filled as (
       update stock set available = available + $2, adjusted = adjusted + $2 where sku = $1
       returning available
     )
     insert into stock_adjustment (request_id, sku, quantity, available_after, reason, adjusted_by)
     select gen_random_uuid(), $1, $2, available, 'benchmark', 'bench' from filled`,
    [sku, units],
  )
  await client.end()
}
