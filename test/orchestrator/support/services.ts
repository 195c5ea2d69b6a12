/** The three services as one table of answers, and a list of what was asked of them. */
import type { CallOptions, McpCaller } from '../../../platform/mcp-client.ts'
import {
  availability,
  boughtLabel,
  openedOrder,
  parcelQuote,
  shipment,
  stockLine,
  validation,
} from './answers.ts'

export interface Call {
  readonly tool: string
  readonly input: Readonly<Record<string, unknown>> & { orderId: string; round: number }
  readonly options: CallOptions
}
/**
 * An object is returned, an Error thrown; a function is asked each time, and where it says nothing
 * the answer is as for an ordinary order.
 */
export type Answer = object | Error | ((call: Call, times: number) => unknown)
export type Table = Readonly<Record<string, Answer>>

export interface Services {
  readonly calls: Call[]
  /** The tools that were called, in order. */
  readonly tools: string[]
  readonly callers: Readonly<Record<'order' | 'inventory' | 'fulfillment', McpCaller>>
}

const reserved = [{ sku: 'mug', quantity: 2 }]
const ordinary: Table = {
  open_order: ({ input }: Call) => openedOrder(input.orderId, { round: input.round }),
  quote_order: ({ input }: Call) => openedOrder(input.orderId, { round: input.round }),
  quote_shipment: () => parcelQuote(),
  validate_order: () => validation(),
  close_order: ({ input }: Call) => input,
  get_stock: () => ({ stock: [{ sku: 'mug', name: 'Mug', available: stockLine().available }] }),
  check_inventory: () => availability(),
  reserve_stock: ({ input }: Call) => ({ ...input, state: 'held', lines: reserved }),
  release_stock: ({ input }: Call) => ({ ...input, state: 'released', lines: reserved }),
  commit_stock: ({ input }: Call) => ({ ...input, state: 'committed', lines: reserved }),
  propose_shipment: () => shipment(),
  generate_label: ({ input }: Call) => ({ ...input, state: 'bought', label: boughtLabel }),
  void_label: ({ input }: Call) => ({ ...input, state: 'voided', refund: 'requested' }),
}

/** Services that answer as for an ordinary order, but for what `table` says. */
export function servicesOf(table: Table = {}): Services {
  const calls: Call[] = []
  const caller = (): McpCaller => ({
    async call(contract, input, options) {
      const call = { tool: contract.name, input: contract.input.parse(input), options } as Call
      calls.push(call)
      const answer = table[contract.name] ?? ordinary[contract.name]
      const times = calls.filter(({ tool }) => tool === contract.name).length
      const asked = typeof answer === 'function' ? await answer(call, times) : answer
      const given = asked ?? (await (ordinary[contract.name] as (call: Call) => object)(call))
      if (given instanceof Error) throw given
      return contract.output.parse(given)
    },
    close: async () => {},
  })
  return {
    calls,
    get tools() {
      return calls.map(({ tool }) => tool)
    },
    callers: { order: caller(), inventory: caller(), fulfillment: caller() },
  }
}
