/** Texts that a person's own model may start from. */
import type { Pool } from '../../platform/db.ts'
import { implementPrompt, type Prompt } from '../../platform/prompt.ts'
import { explainRejection } from './contract.ts'
import { findNewestRound } from './order-store.ts'
import { noSuchOrder } from './resources.ts'

/** Every prompt of the service. */
export function orderPrompts(pool: Pool): Prompt[] {
  return [
    implementPrompt(explainRejection, async ({ orderId }) => {
      const order = await findNewestRound(pool, orderId)
      if (order === undefined) throw noSuchOrder(`order ${orderId}`)
      const { status, findings, lines, totalCents } = order
      return {
        task:
          'Explain in plain words, in at most five sentences, why this order did not go through, ' +
          'and what the customer can do next. Use only the findings below; if there are none, say ' +
          'that the rules object to nothing. Promise no exception.',
        facts: { orderId, status, findings, lines, totalCents },
      }
    }),
  ]
}
