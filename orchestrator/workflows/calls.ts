/** Tool calls as steps: which service, which contract, how long the answer is waited for. */
import type { z } from 'zod'
import type { McpCaller } from '../../platform/mcp-client.ts'
import type { ToolContract } from '../../platform/tool.ts'
import type { OrderKey, OrderStep } from './order-run.ts'

/** How long an answer is waited for, milliseconds. */
export interface CallDeadlines {
  /** A call that rules and a database answer. */
  readonly callMs: number
  /** A call that buys from the carrier: several of its requests, each with a deadline of its own. */
  readonly carrierCallMs: number
  /**
   * A call that an agent answers. It covers the service's own limits, after which rules answer: 60 s
   * of agent, and up to 27 s in which the carrier verifies the address and quotes.
   */
  readonly agentCallMs: number
}

export const defaultDeadlines: CallDeadlines = {
  callMs: 10_000,
  carrierCallMs: 30_000,
  agentCallMs: 90_000,
}

type Services = Readonly<Record<'order' | 'inventory' | 'fulfillment', McpCaller>>

export type Calls = ReturnType<typeof createCalls>

export function createCalls(
  { deadlines = defaultDeadlines, ...services }: Services & { deadlines?: CallDeadlines },
  key: OrderKey,
  traceId: string,
) {
  const { callMs, carrierCallMs, agentCallMs } = deadlines
  const step =
    (timeoutMs: number, traits: Pick<OrderStep<unknown>, 'isLong' | 'isAgent'> = {}) =>
    <I extends z.ZodObject, O extends z.ZodObject>(
      service: keyof Services,
      contract: ToolContract<I, O>,
      input: z.input<I>,
    ): OrderStep<z.output<O>> => ({
      name: contract.name,
      service,
      tool: contract.name,
      ...traits,
      run: () =>
        services[service].call(contract, input, { timeoutMs, traceId, orderId: key.orderId }),
    })
  return {
    to: step(callMs),
    toCarrier: step(carrierCallMs, { isLong: true }),
    toAgent: step(agentCallMs, { isLong: true, isAgent: true }),
  }
}
