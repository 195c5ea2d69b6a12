/**
 * Proposing a shipment: weigh, ask the carrier, let the agent choose, check its choice, store it.
 * Rules come first and end what they can end, so that no model is asked about it.
 */

import type { AgentRun } from '../../platform/agent-types.ts'
import type { Pool } from '../../platform/db.ts'
import { clipReasons } from '../../platform/tool.ts'
import type { ShipmentAgent, ShipmentVerdict } from './agent.ts'
import type { CarrierClient } from './carrier-client.ts'
import { type Choice, checkChoice, chooseByRules, offerOf, takePinned } from './offer-rules.ts'
import { findProposal, type ShipmentKey, storeProposal } from './proposal-store.ts'
import {
  findingsBeforeQuote,
  findingsOfCarrier,
  isInternational,
  type Offer,
  type Proposal,
  parcelWeightGrams,
  type ShipmentRequest,
} from './shipment-rules.ts'

export interface ProposeDeps {
  readonly pool: Pool
  readonly carrier: CarrierClient
  readonly askAgent: ShipmentAgent
  /** The heaviest parcel that the carrier takes. */
  readonly limitGrams: number
  /** What the empty box weighs. */
  readonly boxGrams: number
}

/**
 * Returns the stored proposal of this key, or makes and stores one. Of two at once, the first stored
 * wins and both return it.
 *
 * @throws rejected `label_voided` when an undo came first, `shipment_changed` for other content.
 * @throws unavailable when the carrier gives no answer; nothing is stored then.
 */
export async function proposeShipment(
  deps: ProposeDeps,
  key: ShipmentKey,
  request: ShipmentRequest,
  signal: AbortSignal,
): Promise<Proposal> {
  const known = await findProposal(deps.pool, key, request)
  if (known !== undefined) return known
  return storeProposal(deps.pool, key, request, await judge(deps, key, request, signal))
}

/** The proposal of rules for a parcel as of now. Stores nothing, spends nothing, asks no agent. */
export async function quoteShipment(
  deps: Pick<ProposeDeps, 'carrier' | 'limitGrams' | 'boxGrams'>,
  request: ShipmentRequest,
  signal: AbortSignal,
): Promise<Pick<Proposal, 'proposal' | 'international' | 'weightGrams' | 'findings'>> {
  const { international, weightGrams, offers, findings } = await look(deps, request, signal)
  const { shipBy, serviceLevel } = request
  const { offer: proposal } =
    findings.length > 0 ? { offer: null } : chooseByRules(offers, shipBy, serviceLevel)
  return { proposal, international, weightGrams, findings }
}

async function judge(
  deps: ProposeDeps,
  { orderId, round }: ShipmentKey,
  request: ShipmentRequest,
  signal: AbortSignal,
): Promise<Proposal> {
  const { shipTo, shipBy, serviceLevel, pinned } = request
  const { check, offers, findings, ...measured } = await look(deps, request, signal)
  const facts = { ...measured, shipTo }
  if (findings.length > 0) return { ...facts, ...settled, offers, findings }
  if (pinned !== undefined) return { ...facts, ...settled, offers, ...takePinned(offers, pinned) }

  const { weightGrams } = measured
  const question = { orderId, round, request, weightGrams, check, offers }
  const run = await deps.askAgent(question, signal)
  const choice =
    run.by === 'agent'
      ? checkChoice(run.verdict, offers, shipBy, serviceLevel)
      : chooseByRules(offers, shipBy, serviceLevel)
  return { ...facts, ...judgement(run, choice), offers, findings }
}

/** Weighs, and asks the carrier where the weight allows it. */
async function look(
  { carrier, limitGrams, boxGrams }: Pick<ProposeDeps, 'carrier' | 'limitGrams' | 'boxGrams'>,
  request: ShipmentRequest,
  signal: AbortSignal,
) {
  const { lines, shipTo, shipBy } = request
  const weightGrams = parcelWeightGrams(lines, boxGrams)
  const measured = { international: isInternational(shipTo), weightGrams }
  const stopped = findingsBeforeQuote(request, weightGrams, limitGrams)
  if (stopped.length > 0) return { ...measured, check: unasked, offers: [], findings: stopped }

  const [check, quote] = await Promise.all([
    carrier.verifyAddress(shipTo, signal),
    carrier.quoteRates({ shipTo, lines, weightGrams }, signal),
  ])
  const today = new Date()
  const offers = quote.rates.map((rate) => offerOf(rate, shipBy, today))
  return { ...measured, check, offers, findings: findingsOfCarrier(check, offers, quote.messages) }
}

const unasked = { deliverable: false, problems: [] }

/** Rules have settled it by a finding, and no agent was asked: nobody's doubt, so no `review`. */
const settled = {
  by: 'rules',
  verdict: 'propose',
  proposal: null,
  reasons: [],
  agent: null,
} satisfies Partial<Proposal>

/**
 * Who chose what and why. An agent's `review` is passed on with what would be bought, so that a
 * person can approve it.
 */
function judgement(run: AgentRun<ShipmentVerdict>, { offer, why }: Choice) {
  const proposal: Offer = offer
  if (run.by === 'rules') {
    const { reason: agentFailure, record: agent } = run
    // A model that refuses the task has seen something: a person looks. Any other failure is ours.
    const verdict = agentFailure.code === 'refused' ? ('review' as const) : ('propose' as const)
    return { by: run.by, verdict, proposal, reasons: clipReasons(why), agentFailure, agent }
  }
  const { verdict, reasons: given } = run.verdict
  const reasons = clipReasons([...why, ...given])
  return { by: run.by, verdict, proposal, reasons, agent: run.record }
}
