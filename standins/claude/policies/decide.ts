/** The orchestrator's deciding agent: everything is known, so does this order ship? */

import { z } from 'zod'
import type { Policy } from '../policy.ts'
import { failures, knownValue, openCalls, readFact, reasonList } from '../policy.ts'

const summaryCharsMax = 300

const task = z.object({ orderId: z.string() })
const order = z.object({
  lines: z.array(z.object({ sku: z.string(), quantity: z.number() })),
  totalCents: z.number(),
})
const proposal = z
  .looseObject({
    by: z.string().nullish(),
    verdict: z.string().nullish(),
    reasons: z.array(z.string()).nullish(),
  })
  .nullish()
const proposals = z.object({
  validate_order: proposal,
  check_inventory: proposal,
  propose_shipment: proposal,
})
const reservation = z.object({
  state: z.string(),
  checks: z.object({
    reservedEqualsOrdered: z.boolean(),
    addressEqualsStored: z.boolean(),
    totalWithinLimit: z.boolean(),
  }),
})

const goodVerdict = {
  validate_order: 'accept',
  check_inventory: 'available',
  propose_shipment: 'propose',
} as const
type AgentName = keyof typeof goodVerdict

export const decide: Policy = {
  name: 'decide',
  tools: ['get_order_facts', 'get_proposals', 'get_reservation'],
  verdictFields: ['decision', 'reasons', 'summary'],

  move(view) {
    const parsed = task.safeParse(view.task)
    if (!parsed.success) return verdict(['The task could not be read'], 'No task')
    const { orderId } = parsed.data
    const orderCall = { name: 'get_order_facts', input: { orderId } }
    const proposalsCall = { name: 'get_proposals', input: { orderId } }
    const reservationCall = { name: 'get_reservation', input: { orderId } }
    const open = openCalls(view, [orderCall, proposalsCall, reservationCall])
    if (open.length > 0) {
      return { kind: 'call', thought: `Collecting every proposal for ${orderId}.`, calls: open }
    }

    const orderFact = readFact(view, orderCall, order)
    const proposalsFact = readFact(view, proposalsCall, proposals)
    const reservationFact = readFact(view, reservationCall, reservation)
    const doubts = [
      ...failures(orderFact, proposalsFact, reservationFact),
      ...(proposalsFact.state === 'absent' ? ['The proposals could not be seen'] : []),
      ...(reservationFact.state === 'absent' ? ['The reservation could not be seen'] : []),
      ...proposalDoubts(knownValue(proposalsFact)),
      ...reservationDoubts(knownValue(reservationFact)),
    ]
    return verdict(doubts, summaryOf(orderId, knownValue(orderFact), knownValue(proposalsFact)))
  },
}

function proposalDoubts(found: z.infer<typeof proposals> | undefined): string[] {
  if (found === undefined) return []
  return (Object.keys(goodVerdict) as AgentName[]).flatMap((agent) => {
    const proposed = found[agent]
    if (proposed == null) return [`There is no proposal of ${agent}`]
    if (isGood(agent, proposed)) return []
    return [`${agent} says ${proposed.verdict ?? 'nothing'}`, ...(proposed.reasons ?? [])]
  })
}

/** A skipped agent's question was settled by code, so no verdict of its own is needed. */
function isGood(
  agent: AgentName,
  { by, verdict: given }: NonNullable<z.infer<typeof proposal>>,
): boolean {
  if (given == null) return by === 'skipped'
  return given.toLowerCase() === goodVerdict[agent]
}

function reservationDoubts(found: z.infer<typeof reservation> | undefined): string[] {
  if (found === undefined) return []
  const failed = Object.entries(found.checks).flatMap(([name, passed]) =>
    passed ? [] : [`${name} is false`],
  )
  if (found.state.toLowerCase() !== 'held')
    failed.unshift(`The reservation is ${found.state}, not held`)
  return failed
}

function verdict(doubts: readonly string[], summary: string) {
  const ship = doubts.length === 0
  const reasons = ship ? ['Every proposal agrees and every check holds'] : doubts
  return {
    kind: 'verdict' as const,
    verdict: {
      decision: ship ? 'ship' : 'hold',
      reasons: reasonList(reasons),
      summary: `${summary}: ${ship ? 'ship' : 'hold'}`.slice(0, summaryCharsMax),
    },
  }
}

function summaryOf(
  orderId: string,
  facts: z.infer<typeof order> | undefined,
  found: z.infer<typeof proposals> | undefined,
): string {
  const size =
    facts === undefined
      ? ''
      : `, ${facts.lines.length} lines, ${(facts.totalCents / 100).toFixed(2)} USD`
  const { carrier, service } = found?.propose_shipment ?? {}
  const parcel =
    typeof carrier === 'string' && typeof service === 'string' ? `, ${carrier} ${service}` : ''
  return `Order ${orderId}${size}${parcel}`
}
