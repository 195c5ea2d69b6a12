/** From the last order sent to quiet: every order at its end, every copy up to date. */
import { randomUUID } from 'node:crypto'
import { waitFor } from '../support/wait-for.ts'
import type { Stage } from './stage.ts'

const quietMs = 120_000
const resumesMax = 3

/** Fills a sku up, as a delivery would. */
export async function fillStock(stage: Stage, sku: string, quantity: number): Promise<void> {
  await stage.rows(
    'inventory',
    `with filled as (
       update stock set available = available + $2, adjusted = adjusted + $2 where sku = $1
       returning available
     )
     insert into stock_adjustment (request_id, sku, quantity, available_after, reason, adjusted_by)
     select $3, $1, $2, available, 'delivery', 'chaos' from filled`,
    [sku, quantity, randomUUID()],
  )
}

/**
 * Waits until no run is open in the engine, and resumes what is stuck, as an operator would.
 *
 * @throws Error after two minutes.
 */
export async function settle(stage: Stage): Promise<{ resumed: number }> {
  let resumed = 0
  for (let round = 0; round < resumesMax; round++) {
    await waitFor(
      async () => {
        const [open] = await stage.rows<{ n: number }>(
          'orchestrator',
          `select (select count(*) from customer_order where status = 'running')::int
                + (select count(*) from dbos.workflow_status
                    where status in ('PENDING', 'ENQUEUED', 'DELAYED'))::int as n`,
        )
        return open?.n === 0
      },
      { timeoutMs: quietMs, what: 'every run to end' },
    ).catch(() => {}) // what still runs is a breach, and is told with all others
    const stuck = await stage.rows<{ order_id: string }>(
      'orchestrator',
      `select order_id from customer_order where status = 'stuck'`,
    )
    if (stuck.length === 0) break
    resumed += stuck.length
    await Promise.all(
      stuck.map(({ order_id: orderId }) =>
        fetch(`${stage.fronts[0]}/orders/${orderId}/resume`, { method: 'POST' }),
      ),
    )
  }
  return { resumed }
}
