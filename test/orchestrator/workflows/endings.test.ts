import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  endByDecision,
  endByError,
  endByFindings,
  endFulfilled,
  endStuck,
} from '../../../orchestrator/workflows/endings.ts'
import type { WireError } from '../../../platform/errors.ts'
import {
  availability,
  boughtLabel,
  finding,
  openedOrder,
  shipment,
  stockLine,
  validation,
} from '../support/answers.ts'

const opened = openedOrder(randomUUID())
const proposals = { validation: validation(), availability: availability(), shipment: shipment() }
const error = (kind: WireError['kind'], code: string, details = {}): WireError => ({
  kind,
  code,
  message: 'It failed',
  details,
})
const ships = { decision: 'ship', by: 'agent', reasons: ['all is well'] } as const

describe('an end by findings', () => {
  it('has the outcome, code and words of the leading one, and keeps all of them', () => {
    const findings = [finding('too_heavy', 'held'), finding('over_limit', 'held')]

    const end = endByFindings(opened, findings, proposals)

    assert.equal(end.outcome, 'held')
    assert.equal(end.code, 'over_limit')
    assert.equal(end.undo, true)
    assert.equal(end.summary.message, 'found over_limit')
    assert.equal(end.summary.next, 'do something')
    assert.deepEqual(end.summary.findings, findings)
    assert.deepEqual(end.summary.decision, {
      by: 'rules',
      outcome: 'held',
      reasons: ['found over_limit'],
    })
  })

  it('offers something instead only where stock is the reason', () => {
    const lines = [stockLine({ available: 1, short: 1, restockDate: '2026-12-24' })]
    const checked = { ...proposals, availability: availability({ lines }) }

    const short = endByFindings(opened, [finding('out_of_stock', 'backordered')], checked)
    const rejected = endByFindings(opened, [finding('no_address', 'rejected')], checked)

    assert.deepEqual(short.summary.backorder, { lines })
    assert.equal(rejected.summary.backorder, undefined)
  })

  it('cannot be without a finding', () => {
    assert.throws(() => endByFindings(opened, []))
  })
})

describe('an end by decision', () => {
  it('is held or cancelled as decided, and undone', () => {
    const hold = endByDecision(opened, { ...ships, decision: 'hold' }, proposals)
    const cancel = endByDecision(opened, { ...ships, decision: 'cancel' }, proposals)

    assert.deepEqual([hold.outcome, hold.code, hold.undo], ['held', 'decided_hold', true])
    assert.deepEqual(
      [cancel.outcome, cancel.code, cancel.undo],
      ['cancelled', 'decided_cancel', true],
    )
    assert.deepEqual(hold.summary.decision, {
      by: 'agent',
      outcome: 'held',
      reasons: ['all is well'],
    })
  })

  it('says something also when no reason was given', () => {
    const end = endByDecision(opened, { decision: 'hold', by: 'rules', reasons: [] }, proposals)

    assert.ok(end.summary.message.length > 0)
  })
})

describe('an end by error', () => {
  it('is held as dependency_unavailable when a service was away', () => {
    const end = endByError(error('unavailable', 'deadline_exceeded'))

    assert.deepEqual([end.outcome, end.code, end.undo], ['held', 'dependency_unavailable', true])
    assert.match(end.summary.message, /deadline_exceeded/)
  })

  it('is held under the code of any other refusal', () => {
    for (const kind of ['invalid', 'denied', 'missing', 'rejected', 'internal'] as const) {
      const end = endByError(error(kind, 'order_closed'), opened, proposals)

      assert.deepEqual([end.outcome, end.code, end.undo], ['held', 'order_closed', true])
      assert.equal(end.summary.decision.by, 'rules')
    }
  })

  it('is cancelled, by the client, when the client said so', () => {
    const end = endByError(error('rejected', 'cancelled_by_client'))

    assert.deepEqual([end.outcome, end.code], ['cancelled', 'cancelled_by_client'])
    assert.equal(end.summary.decision.by, 'client')
  })

  it('is backordered with what is left when somebody else took the last units', () => {
    const two = availability({ lines: [stockLine(), stockLine({ sku: 'cup' })] })
    const late = error('rejected', 'out_of_stock', { lines: [{ sku: 'mug', available: 1 }] })

    const end = endByError(late, opened, { ...proposals, availability: two })

    assert.deepEqual([end.outcome, end.code, end.undo], ['backordered', 'out_of_stock', true])
    assert.deepEqual(
      end.summary.findings.map(({ code }) => code),
      ['out_of_stock'],
    )
    assert.deepEqual(end.summary.backorder?.lines, [
      stockLine({ available: 1, short: 1, offer: { kind: 'wait', substituteSku: null } }),
      stockLine({ sku: 'cup' }),
    ])
  })

  it('is backordered also when the refusal does not say which line', () => {
    const end = endByError(error('rejected', 'out_of_stock'), opened, proposals)

    assert.equal(end.outcome, 'backordered')
  })
})

describe('other ends', () => {
  it('fulfilled keeps the label and who decided, and undoes nothing', () => {
    const end = endFulfilled(opened, ships, boughtLabel, proposals)

    assert.deepEqual([end.outcome, end.code, end.undo], ['fulfilled', null, false])
    assert.deepEqual(end.summary.label, boughtLabel)
    assert.equal(end.summary.decision.by, 'agent')
  })

  it('stuck undoes nothing and names the error', () => {
    const end = endStuck(error('internal', 'bad_tool_output'))

    assert.deepEqual([end.outcome, end.code, end.undo], ['stuck', 'bad_tool_output', false])
    assert.equal(end.summary.decision.outcome, 'stuck')
  })

  it('warn when code or an agent found instructions in the note', () => {
    const warned = (end: { summary: { warnings: readonly { code: string }[] } }) =>
      end.summary.warnings.map(({ code }) => code)
    const byAgent = { ...proposals, validation: validation({ noteContainsInstructions: true }) }
    const byCode = { ...opened, noteSuspicious: true }

    assert.deepEqual(warned(endFulfilled(opened, ships, boughtLabel, proposals)), [])
    assert.deepEqual(warned(endFulfilled(opened, ships, boughtLabel, byAgent)), [
      'note_contained_instructions',
    ])
    assert.deepEqual(warned(endFulfilled(byCode, ships, boughtLabel, proposals)), [
      'note_contained_instructions',
    ])
  })
})
