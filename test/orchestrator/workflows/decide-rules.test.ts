import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Checks,
  type DecideVerdict,
  finalDecision,
  sameLines,
} from '../../../orchestrator/workflows/decide-rules.ts'

const allGood: Checks = {
  reservedEqualsOrdered: true,
  addressEqualsStored: true,
  totalWithinLimit: true,
}
const verdict = (decision: DecideVerdict['decision']): { verdict: DecideVerdict } => ({
  verdict: { decision, reasons: ['stock is reserved'], summary: 'Everything fits.' },
})

describe('the final decision', () => {
  for (const decision of ['ship', 'hold', 'cancel'] as const) {
    it(`is the agent’s ${decision} when every check holds`, () => {
      assert.deepEqual(finalDecision(allGood, verdict(decision)), {
        decision,
        by: 'agent',
        reasons: ['Everything fits.', 'stock is reserved'],
      })
    })
  }

  for (const check of Object.keys(allGood) as (keyof Checks)[]) {
    it(`is to hold when ${check} fails, whatever the agent says`, () => {
      const checks = { ...allGood, [check]: false }

      for (const judged of [verdict('ship'), verdict('cancel'), verdict('hold')]) {
        const final = finalDecision(checks, judged)

        assert.equal(final.decision, 'hold')
        assert.equal(final.by, 'rules')
        assert.match(final.reasons.join(), new RegExp(check))
      }
      const silent = finalDecision(checks, { failure: { code: 'time_limit', message: 'late' } })
      assert.equal(silent.decision, 'hold')
    })
  }

  it('names every check that fails', () => {
    const none = {
      reservedEqualsOrdered: false,
      addressEqualsStored: false,
      totalWithinLimit: false,
    }

    for (const check of Object.keys(none)) {
      assert.match(finalDecision(none, verdict('ship')).reasons.join(), new RegExp(check))
    }
  })

  it('is to ship by rules when no agent gave a verdict', () => {
    for (const code of ['verdict_invalid', 'truncated', 'time_limit', 'model_unavailable']) {
      const final = finalDecision(allGood, { failure: { code, message: 'no verdict' } })

      assert.equal(final.decision, 'ship')
      assert.equal(final.by, 'rules')
      assert.match(final.reasons.join(), /no verdict/)
    }
  })

  it('is to hold when the model refused the task', () => {
    const final = finalDecision(allGood, { failure: { code: 'refused', message: 'refused' } })

    assert.equal(final.decision, 'hold')
    assert.equal(final.by, 'rules')
  })

  it('leaves out a summary that says nothing', () => {
    const judged = { verdict: { ...verdict('ship').verdict, summary: '' } }

    assert.deepEqual(finalDecision(allGood, judged).reasons, ['stock is reserved'])
  })
})

describe('lines that are compared', () => {
  const cup = { sku: 'cup', quantity: 1 }
  const mug = { sku: 'mug', quantity: 2 }

  it('are the same in whatever order', () => {
    assert.ok(sameLines([cup, mug], [mug, cup]))
    assert.ok(sameLines([], []))
  })

  it('differ by sku, by quantity, and by count', () => {
    assert.ok(!sameLines([cup], [mug]))
    assert.ok(!sameLines([cup], [{ ...cup, quantity: 2 }]))
    assert.ok(!sameLines([cup, mug], [cup]))
    assert.ok(!sameLines([cup, cup], [cup]))
    assert.ok(!sameLines([], [cup]))
  })
})
