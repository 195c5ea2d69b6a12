/** The handlers behind the orchestrator's contract. */
import { type CallContext, implement, type Tool } from '../platform/tool.ts'
import { buildAnswer } from './answer.ts'
import { type AwaitDeps, answerWhenEnded } from './await-order.ts'
import { assertMayTouch, callerOf } from './caller.ts'
import { cancelOrder } from './cancel.ts'
import * as contract from './contract.ts'
import { type IntakeDeps, submitOrder } from './intake.ts'
import { parseOrderRequest } from './order-request.ts'
import { type OrderRow, readOrder } from './order-store.ts'
import { tellProgress } from './progress.ts'

/** Every tool of the orchestrator. */
export function orchestratorTools(deps: AwaitDeps & IntakeDeps): Tool[] {
  return [
    implement(contract.orchestrateOrder, async (input, context) => {
      const { idempotencyKey, waitSeconds, ...body } = input
      const row = await submitOrder(deps, {
        clientId: context.clientId,
        idempotencyKey: `key-${idempotencyKey}`,
        request: parseOrderRequest(body),
        traceId: context.traceId,
        preferQueue: waitSeconds === 0,
      })
      return stateAfter(deps, row, waitSeconds, context)
    }),

    implement(contract.getOrderStatus, async ({ orderId, waitSeconds }, context) => {
      const row = await readOrder(deps.pool, orderId)
      assertMayTouch(callerOf(context), row, 'orders:read:all')
      return stateAfter(deps, row, waitSeconds, context)
    }),

    implement(contract.cancelOrder, async ({ orderId }, context) => {
      const row = await cancelOrder(deps, orderId, callerOf(context))
      return buildAnswer(deps.pool, row, deps.answers)
    }),
  ]
}

/** Where the order stands at its end, or after `waitSeconds`; told step by step meanwhile. */
async function stateAfter(
  deps: AwaitDeps & IntakeDeps,
  row: OrderRow,
  waitSeconds: number,
  { signal, progress }: CallContext,
) {
  const waited = AbortSignal.timeout(waitSeconds * 1_000)
  const until = AbortSignal.any([signal, deps.draining, waited])
  const telling = progress === undefined ? undefined : tellProgress(deps, row, until, progress)
  const { answer } = await answerWhenEnded(deps, row, until)
  await telling
  return answer
}
