import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  needsPlan,
  type Plan,
  type PlanFacts,
  planProblems,
  planVerdict,
  standardPlan,
} from '../../../orchestrator/workflows/plan-rules.ts'

const ordinary: PlanFacts = {
  lineCount: 1,
  totalCents: 100_000,
  hasNote: false,
  hasDeadline: false,
  isShort: false,
}
const short: PlanFacts = { ...ordinary, isShort: true }

describe('asking for a plan', () => {
  it('is not worth it for one ordinary line of at most 1,000 USD', () => {
    assert.equal(needsPlan('auto', ordinary), false)
  })

  const unusual: [what: string, facts: Partial<PlanFacts>][] = [
    ['several lines', { lineCount: 2 }],
    ['a note', { hasNote: true }],
    ['a deadline', { hasDeadline: true }],
    ['a total above 1,000 USD', { totalCents: 100_001 }],
  ]
  for (const [what, facts] of unusual) {
    it(`is worth it for ${what}, unless a shortage settles the order`, () => {
      assert.equal(needsPlan('auto', { ...ordinary, ...facts }), true)
      assert.equal(needsPlan('auto', { ...short, ...facts }), false)
    })
  }

  it('can be switched on and off for every order', () => {
    assert.equal(needsPlan('always', ordinary), true)
    assert.equal(needsPlan('always', short), true)
    assert.equal(needsPlan('never', { ...ordinary, hasNote: true, lineCount: 9 }), false)
  })
})

describe('a plan', () => {
  const skipping = (...skip: Plan['skip']): Plan => ({ ...standardPlan, skip })

  it('breaks no rule when it is the standard plan', () => {
    assert.deepEqual(planProblems(standardPlan, ordinary), [])
    assert.deepEqual(planProblems(standardPlan, { ...short, hasNote: true }), [])
    assert.ok(planVerdict.safeParse(standardPlan).success)
  })

  it('may choose the fastest service and ask for a person whatever the order', () => {
    const plan: Plan = { ...standardPlan, serviceLevel: 'fastest', sendToPerson: true }

    assert.deepEqual(planProblems(plan, { ...ordinary, hasNote: true, totalCents: 1e6 }), [])
  })

  it('may skip the validation of an order without a note and up to 1,000 USD', () => {
    const plan = skipping('validate_order')

    assert.deepEqual(planProblems(plan, ordinary), [])
    assert.equal(planProblems(plan, { ...ordinary, hasNote: true }).length, 1)
    assert.equal(planProblems(plan, { ...ordinary, totalCents: 100_001 }).length, 1)
  })

  it('may skip the look at stock only when stock covers every line', () => {
    assert.deepEqual(planProblems(skipping('check_inventory'), ordinary), [])
    assert.equal(planProblems(skipping('check_inventory'), short).length, 1)
  })

  it('may skip the shipment only when stock is short', () => {
    assert.deepEqual(planProblems(skipping('propose_shipment'), short), [])
    assert.equal(planProblems(skipping('propose_shipment'), ordinary).length, 1)
  })

  it('is told every rule that it breaks', () => {
    const plan = skipping('validate_order', 'propose_shipment')
    const problems = planProblems(plan, { ...ordinary, hasNote: true, totalCents: 1e6 })

    assert.equal(problems.length, 3)
  })

  it('cannot name a step that is not an agent’s', () => {
    const plan = { ...standardPlan, skip: ['reserve_stock'] }

    assert.equal(planVerdict.safeParse(plan).success, false)
  })
})
