/** How many units of a few chosen skus are free to sell: for alerts on what an operator cares for. */
import { z } from 'zod'
import type { Db } from '../../platform/db.ts'
import type { Metrics } from '../../platform/metrics.ts'
import { scraped } from '../../platform/scraped.ts'
import { sku } from '../order/contract.ts'
import { findStock } from './stock-store.ts'

/** Each is a series of every process, so a catalogue must not come in by this. */
const skusMax = 50

export const stockMetricConfig = z.object({
  /** Comma-separated; their units are shown as `stock_units` on /metrics. Default none. */
  STOCK_METRIC_SKUS: z
    .string()
    .default('')
    .transform((text) => [
      ...new Set(
        text
          .split(',')
          .map((one) => one.trim())
          .filter(Boolean),
      ),
    ])
    .pipe(z.array(sku).max(skusMax)),
})

/** A sku that is not stocked has no series; so have all while the database does not answer. */
export function showStock(metrics: Metrics, db: Db, skus: readonly string[]): void {
  const read = scraped(() => findStock(db, skus))
  metrics.observed(
    'stock_units',
    'Units that are free to sell, of the skus that STOCK_METRIC_SKUS names',
    ['sku'],
    async () => {
      const stock = skus.length === 0 ? [] : ((await read()) ?? [])
      return stock.map(({ sku, available }) => [{ sku }, available] as const)
    },
  )
}
