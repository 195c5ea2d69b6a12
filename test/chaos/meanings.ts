/** What a call on the wire means: which step of which order. Reads what is sent, nothing else. */
import type { Meaning, RawCall } from './call-proxy.ts'

/** A `tools/call` of MCP. */
export function describeToolCall({ path, body }: RawCall): Meaning | undefined {
  if (path !== '/mcp') return undefined
  const params = parse(body)?.params
  if (typeof params?.name !== 'string') return undefined
  return {
    step: params.name,
    orderId: params.arguments?.orderId,
    traceId: /^00-([0-9a-f]{32})-/.exec(params._meta?.traceparent ?? '')?.[1],
  }
}

/** The tool that only this agent is offered. */
const agents: Readonly<Record<string, string>> = {
  find_customer: 'validate_order.model',
  find_substitutes: 'check_inventory.model',
  quote_rates: 'propose_shipment.model',
  get_stock_facts: 'plan',
  get_reservation: 'decide',
}

/** A turn of the Messages API. The deciding agent's first turn is a step of its own. */
export function describeTurn({ path, body }: RawCall): Meaning | undefined {
  if (!path.startsWith('/v1/messages')) return undefined
  const request = parse(body)
  const offered: string[] = (request?.tools ?? []).map((tool: { name?: string }) => tool.name)
  const agent = offered.map((name) => agents[name]).find(Boolean)
  if (agent === undefined) return undefined
  const orderId = /"orderId\\*":\s*\\*"([0-9a-f-]{36})/.exec(JSON.stringify(request.messages?.[0]))
  const turns = request.messages.filter((m: { role?: string }) => m.role === 'assistant').length
  const step = agent === 'decide' && turns === 0 ? 'prepare_decision' : agent
  return { step, orderId: orderId?.[1] }
}

/** Remembers which of the carrier's shipments belongs to which order. */
export function carrierMeanings() {
  const orderOf = new Map<string, string>()
  return {
    describe({ method, path, body }: RawCall): Meaning | undefined {
      if (method !== 'POST') return undefined
      if (path === '/v2/shipments') {
        return { step: 'carrier_create', orderId: orderIn(parse(body)?.shipment?.reference) }
      }
      const id = /^\/v2\/shipments\/([^/]+)\/buy$/.exec(path)?.[1]
      return id === undefined ? undefined : { step: 'carrier_buy', orderId: orderOf.get(id) }
    },
    learn({ path }: RawCall, answer: Buffer): void {
      if (path !== '/v2/shipments') return
      const shipment = parse(answer)
      const orderId = orderIn(shipment?.reference)
      if (orderId !== undefined) orderOf.set(shipment.id, orderId)
    },
  }
}

const orderIn = (reference: unknown): string | undefined =>
  typeof reference === 'string' ? reference.split(':')[0] : undefined

// biome-ignore lint/suspicious/noExplicitAny: the wire is read loosely, by field
function parse(body: Buffer): any {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
