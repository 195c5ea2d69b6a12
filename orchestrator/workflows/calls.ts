/** Tool calls as steps: which service, which contract, how long the answer is waited for. */
import type { z } from 'zod'
import type { McpCaller } from '../../platform/mcp-client.ts'
import type { ToolContract } from '../../platform/tool.ts'
import type { OrderKey, OrderStep } from './order-run.ts'

/** A call that rules and a database answer. */
const callMs = 10_000
/** A call that buys from the carrier: several of its requests, each with a deadline of its own. */
const carrierCallMs = 30_000
/** A call that an agent answers: its own limit is 60 s, then rules answer. */
const agentCallMs = 70_000

type Services = Readonly<Record<'order' | 'inventory' | 'fulfillment', McpCaller>>

export type Calls = ReturnType<typeof createCalls>

export function createCalls(services: Services, key: OrderKey, traceId: string) {
  const step =
    (timeoutMs: number, isLong: boolean) =>
    <I extends z.ZodObject, O extends z.ZodObject>(
      service: keyof Services,
      contract: ToolContract<I, O>,
      input: z.input<I>,
    ): OrderStep<z.output<O>> => ({
      name: contract.name,
      service,
      tool: contract.name,
      isLong,
      run: () =>
        services[service].call(contract, input, { timeoutMs, traceId, orderId: key.orderId }),
    })
  return {
    to: step(callMs, false),
    toCarrier: step(carrierCallMs, true),
    toAgent: step(agentCallMs, true),
  }
}
