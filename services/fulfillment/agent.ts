/**
 * The fulfillment service's agent: reads the address check and the offers of one parcel through two
 * tools and chooses among the offers. Both were fetched before it was asked, once: it chooses from
 * the same facts that the rules judge it by. It sees no name and no street.
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
import type { AddressCheck } from './carrier-answers.ts'
import { isInternational, type Offer, type ShipmentRequest } from './shipment-rules.ts'

/** One parcel to look at, with everything that the carrier says of it. */
export interface ShipmentQuestion {
  readonly orderId: string
  readonly round: number
  readonly request: ShipmentRequest
  readonly weightGrams: number
  readonly check: AddressCheck
  readonly offers: readonly Offer[]
}

/** Reasons may be longer than asked for: they are clipped, not refused. */
export const shipmentVerdict = z.object({
  verdict: anyCase(['propose', 'review']),
  carrier: z.string().nullable().describe('The carrier of the chosen offer, as written there'),
  service: z.string().nullable().describe('The service of the chosen offer, as written there'),
  reasons: z.array(z.string()).describe('At most 8, each at most 300 characters'),
})
export type ShipmentVerdict = z.output<typeof shipmentVerdict>

/** Never throws for what the model does: without a verdict, rules decide. */
export type ShipmentAgent = (
  question: ShipmentQuestion,
  signal: AbortSignal,
) => Promise<AgentRun<ShipmentVerdict>>

// Tools and prompt are the cached prefix of every request: the same bytes each time.
const prompt = readFileSync(new URL('./propose-shipment.prompt.xml', import.meta.url), 'utf8')
const orderInput = z.object({ orderId: z.string().describe('The orderId of the task') })

export function createShipmentAgent(deps: AgentDeps, settings: AgentSettings): ShipmentAgent {
  const spec = {
    ...{ name: 'propose_shipment', prompt, verdict: shipmentVerdict },
    ...{ ...settings, holdsWithout: isRefusal },
  }
  return (question, signal) => {
    const { orderId, round } = question
    return runAgent(deps, spec, shipmentTools(question), { orderId, round }, signal)
  }
}

/** What the model may ask: about the parcel of this order, nothing else. */
function shipmentTools(question: ShipmentQuestion): AgentTool[] {
  const { orderId, request, weightGrams, check, offers } = question
  const assertInOrder = (asked: string): void => {
    if (asked.toLowerCase() === orderId.toLowerCase()) return
    throw denied('not_in_order', 'This is not the order of the task', {
      next: 'Use the orderId of the task.',
    })
  }
  return [
    agentTool({
      name: 'check_address',
      description:
        'What the carrier says of the address: whether it can deliver there, the country, whether ' +
        'that is inside the United States, and what it objects to.',
      input: orderInput,
      run: async (input) => {
        assertInOrder(input.orderId)
        return {
          deliverable: check.deliverable,
          country: request.shipTo.country,
          domestic: !isInternational(request.shipTo),
          problems: check.problems,
        }
      },
    }),

    agentTool({
      name: 'quote_rates',
      description:
        'The offers for the parcel, its weight in grams, the date it should arrive by (shipBy, null ' +
        'when there is none) and the service level wanted. Prices are in US cents; meetsShipBy is ' +
        'null when there is no date or the carrier promises none.',
      input: orderInput,
      run: async (input) => {
        assertInOrder(input.orderId)
        const { shipBy, serviceLevel } = request
        return { parcel: { weightGrams }, shipBy, serviceLevel, offers }
      },
    }),
  ]
}
