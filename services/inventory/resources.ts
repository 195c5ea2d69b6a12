/** What can be read and watched by URI: the stock of each sku. */
import type { Pool } from '../../platform/db.ts'
import { missing } from '../../platform/errors.ts'
import { implementResource, type Resource, uriOf } from '../../platform/resource.ts'
import { stockResource } from './contract.ts'
import { findStock, listSkus } from './stock-store.ts'

const pageMax = 100

/** Every resource of the service. */
export function inventoryResources(pool: Pool): Resource[] {
  return [
    implementResource(stockResource, {
      read: async ({ sku = '' }) => {
        const [stock] = await findStock(pool, [sku])
        if (stock === undefined) throw noSuchSku(sku)
        return stock
      },
      list: async (after) => {
        const skus = await listSkus(pool, after ?? '', pageMax)
        const entries = skus.map(({ sku, name }) => ({ uri: uriOf(stockResource, { sku }), name }))
        return { entries, next: skus.length === pageMax ? skus.at(-1)?.sku : undefined }
      },
    }),
  ]
}

export const noSuchSku = (sku: string) =>
  missing('unknown_sku', `${sku} is not stocked`, { next: 'Use a sku of resources/list.' })
