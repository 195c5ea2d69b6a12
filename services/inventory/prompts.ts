/** Texts that a person's own model may start from. */
import type { Pool } from '../../platform/db.ts'
import { implementPrompt, type Prompt } from '../../platform/prompt.ts'
import { backorderNotice } from './contract.ts'
import { noSuchSku } from './resources.ts'
import { findStock, findSubstitutes } from './stock-store.ts'

/** Every prompt of the service. */
export function inventoryPrompts(pool: Pool): Prompt[] {
  return [
    implementPrompt(backorderNotice, async ({ sku }) => {
      const [[stock], substitutes] = await Promise.all([
        findStock(pool, [sku]),
        findSubstitutes(pool, [sku]),
      ])
      if (stock === undefined) throw noSuchSku(sku)
      return {
        task:
          'Write a short, friendly notice to a customer that this product is short. Say what is ' +
          'missing and when more is expected; if no date is known, say so and promise none. Offer ' +
          'only the substitutes below, as a question. Make up no dates, prices or quantities.',
        facts: { stock, substitutes },
      }
    }),
  ]
}
