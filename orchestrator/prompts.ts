/** Texts that a person's own model may start from, with the order in them. */
import { implementPrompt, type Prompt } from '../platform/prompt.ts'
import type { CallContext } from '../platform/tool.ts'
import { buildAnswer } from './answer.ts'
import type { AwaitDeps } from './await-order.ts'
import { assertMayTouch, callerOf } from './caller.ts'
import * as contract from './contract.ts'
import { readOrder } from './order-store.ts'

/** Every prompt of the orchestrator. */
export function orchestratorPrompts(deps: AwaitDeps): Prompt[] {
  const about =
    (task: string) =>
    async ({ orderId }: { orderId: string }, context: CallContext) => {
      const row = await readOrder(deps.pool, orderId)
      assertMayTouch(callerOf(context), row, 'orders:read:all')
      return { task, facts: await buildAnswer(deps.pool, row, deps.answers) }
    }
  return [
    implementPrompt(
      contract.investigateOrder,
      about(
        'Say what happened to this order, in the order of its steps: what each agent proposed, what ' +
          'the rules said, what was decided and why, where time and money went. Name what is odd. ' +
          'End with the one thing to do next. Say only what the facts below show.',
      ),
    ),
    implementPrompt(
      contract.explainRejection,
      about(
        'Explain to the customer in plain words, in at most five sentences, why this order did not ' +
          'go through and what can be done next. Use only the findings and the decision below. ' +
          'Promise no exception.',
      ),
    ),
    implementPrompt(
      contract.draftBackorderNotice,
      about(
        'Write a short, friendly notice to the customer that the order waits for stock. Say what is ' +
          'short and when more is expected; if no date is known, say so and promise none. Offer only ' +
          'the substitutes below, as a question. Make up no dates, prices or quantities.',
      ),
    ),
  ]
}
