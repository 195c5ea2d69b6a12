import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { degradedOf } from '../../orchestrator/degraded.ts'
import type { StepReport } from '../../orchestrator/order-events.ts'
import { agentRun } from './support/answers.ts'

const report = (change: Partial<StepReport>): StepReport => ({
  ...{ name: 'decide', service: 'orchestrator', tool: 'decide', state: 'done', attempts: 1 },
  ...{ durationMs: 1, result: { by: 'agent' }, agent: agentRun },
  ...change,
})
const away = { code: 'model_unavailable', message: 'Claude is overloaded' }

describe('what an order went without', () => {
  it('is nothing when every agent answered as configured', () => {
    assert.deepEqual(degradedOf([report({}), report({ name: 'validate_order' })]), {
      degraded: false,
      lostCapabilities: [],
    })
  })

  it('is an agent that rules stood in for, and what it would have done', () => {
    const { degraded, lostCapabilities } = degradedOf([
      report({ name: 'validate_order', result: { by: 'rules', agentFailure: away } }),
    ])

    assert.equal(degraded, true)
    assert.partialDeepStrictEqual(lostCapabilities, [{ step: 'validate_order', servedBy: 'rules' }])
    assert.match(lostCapabilities[0]?.lost ?? '', /plausibility and risk/)
  })

  it('is the judgement of a stronger model', () => {
    const fallbackFrom = [{ model: 'claude-opus-5-5', code: 'model_overloaded' }]
    const { lostCapabilities } = degradedOf([
      report({ agent: { ...agentRun, model: 'claude-sonnet-5-5', fallbackFrom } }),
    ])

    assert.partialDeepStrictEqual(lostCapabilities, [
      { step: 'decide', servedBy: 'claude-sonnet-5-5' },
    ])
  })

  it('is no question that rules had settled, and no plan that they refused', () => {
    const { agent: _agent, ...settled } = report({
      name: 'propose_shipment',
      result: { by: 'rules', findings: [{ code: 'too_heavy' }] },
    })

    const refused = report({ name: 'plan', result: { by: 'rules', refused: ['not that'] } })
    assert.equal(degradedOf([settled, refused]).degraded, false)
  })
})
