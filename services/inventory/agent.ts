/**
 * The inventory service's agent: reads stock through three tools and proposes what to offer for
 * short lines. It works on the facts that the rules judge it by, one reading of the database, so a
 * sale in between cannot make the two contradict each other.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { runAgent } from '../../platform/agent.ts'
import {
  type AgentDeps,
  type AgentRun,
  type AgentSettings,
  type AgentTool,
  agentTool,
  isRefusal,
} from '../../platform/agent-types.ts'
import { anyCase } from '../../platform/any-case.ts'
import { denied } from '../../platform/errors.ts'
import { offerKind } from './contract.ts'
import type { LineFacts, StockFact } from './stock-rules.ts'

/** One order to look at. `known` is the stock of its skus and of their substitutes. */
export interface StockQuestion {
  readonly orderId: string
  readonly round: number
  readonly lines: readonly LineFacts[]
  readonly known: readonly StockFact[]
}

/** Reasons may be longer than asked for: they are clipped, not refused. */
export const stockVerdict = z.object({
  verdict: anyCase(['available', 'short', 'review']),
  lines: z.array(
    z.object({
      sku: z.string(),
      available: z.boolean(),
      offer: offerKind,
      substituteSku: z.string().nullable(),
    }),
  ),
  reasons: z.array(z.string()).describe('At most 8, each at most 300 characters'),
})
export type StockVerdict = z.output<typeof stockVerdict>

/** Never throws for what the model does: without a verdict, rules decide. */
export type StockAgent = (
  question: StockQuestion,
  signal: AbortSignal,
) => Promise<AgentRun<StockVerdict>>

// Tools and prompt are the cached prefix of every request: the same bytes each time.
const prompt = readFileSync(new URL('./check-inventory.prompt.xml', import.meta.url), 'utf8')
const sku = z.string().max(64).describe('A sku of the order')
const getStockInput = z.object({ skus: z.array(sku).min(1).max(100) })
const findSubstitutesInput = z.object({ sku, quantity: z.int().min(1).max(100_000) })
const getRestockDateInput = z.object({ sku })

export function createStockAgent(deps: AgentDeps, settings: AgentSettings): StockAgent {
  const spec = {
    ...{ name: 'check_inventory', prompt, verdict: stockVerdict },
    ...{ ...settings, holdsWithout: isRefusal },
  }
  return (question, signal) => {
    const { orderId, round, lines } = question
    const task = { orderId, round, lines: lines.map(({ sku, quantity }) => ({ sku, quantity })) }
    return runAgent(deps, spec, stockTools(question), task, signal)
  }
}

/** What the model may ask. It sees the order's skus and their listed substitutes, nothing else. */
function stockTools({ lines, known }: StockQuestion): AgentTool[] {
  const stock = new Map(known.map((fact) => [fact.sku, fact]))
  const ordered = new Map(lines.map((line) => [line.sku, line]))
  const assertInOrder = (asked: string): void => {
    if (!ordered.has(asked) && !stock.has(asked)) throw notInOrder(asked)
  }
  return [
    agentTool({
      name: 'get_stock',
      description:
        'Units of each sku that are free to sell. A sku that is not stocked is left out of the list.',
      input: getStockInput,
      run: async ({ skus }) => {
        skus.forEach(assertInOrder)
        const facts = skus.flatMap((asked) => stock.get(asked) ?? [])
        return { stock: facts.map(({ sku, name, available }) => ({ sku, name, available })) }
      },
    }),

    agentTool({
      name: 'find_substitutes',
      description:
        'What may be offered instead of a sku of the order, best first. `available` counts the ' +
        'units that the order does not take already; `covers` says whether they are enough for ' +
        'the quantity asked for.',
      input: findSubstitutesInput,
      run: async ({ sku: asked, quantity }) => {
        const line = ordered.get(asked)
        if (line === undefined) throw notInOrder(asked)
        const substitutes = line.substitutes.map((s) => ({ ...s, covers: s.available >= quantity }))
        return { sku: asked, substitutes }
      },
    }),

    agentTool({
      name: 'get_restock_date',
      description: 'The date on which new units of a sku are expected, or null when none is known.',
      input: getRestockDateInput,
      run: async ({ sku: asked }) => {
        assertInOrder(asked)
        return { sku: asked, restockDate: stock.get(asked)?.restockDate ?? null }
      },
    }),
  ]
}

const notInOrder = (asked: string) =>
  denied(
    'not_in_order',
    `${asked} is neither in this order nor a substitute for one of its lines`,
    {
      next: 'Ask for the skus of the task only.',
    },
  )
