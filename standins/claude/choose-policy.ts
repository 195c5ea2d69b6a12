/** Which policy a request is for: recognised by the tools it offers, never by its texts. */

import { checkInventory } from './policies/check-inventory.ts'
import { decide } from './policies/decide.ts'
import { plan } from './policies/plan.ts'
import { proposeShipment } from './policies/propose-shipment.ts'
import { validateOrder } from './policies/validate-order.ts'
import type { Policy } from './policy.ts'
import type { CountRequest } from './request-shape.ts'
import { clientTools } from './view.ts'

/** One policy per agent of the platform. */
export const standardPolicies: readonly Policy[] = [
  validateOrder,
  checkInventory,
  proposeShipment,
  plan,
  decide,
]

const sayWhatThisIs: Policy = {
  name: 'plain',
  tools: [],
  verdictFields: [],
  move: () => ({
    kind: 'say',
    text: 'This is an offline stand-in for Claude. It has no rules for these tools, and no model answered.',
  }),
}

/**
 * The policy that knows most of the offered tools; between equals, the one whose verdict the output
 * format asks for. A policy that knows none is out; with none left, a plain one says what this is.
 */
export function choosePolicy(policies: readonly Policy[], request: CountRequest): Policy {
  const offered = clientTools(request)
  const fields = verdictFieldsOf(request)
  let best: Policy | undefined
  let bestScore = 0
  for (const policy of policies) {
    const known = policy.tools.filter((tool) => offered.has(tool)).length
    if (known === 0) continue
    const asked = policy.verdictFields.filter((field) => fields.has(field)).length
    const score = known * 100 + asked
    if (score > bestScore) {
      best = policy
      bestScore = score
    }
  }
  return best ?? sayWhatThisIs
}

function verdictFieldsOf(request: CountRequest): ReadonlySet<string> {
  const properties = request.output_config?.format?.schema.properties
  return new Set(
    typeof properties === 'object' && properties !== null ? Object.keys(properties) : [],
  )
}
