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
const known = { opened, proposals, findings: opened.findings }
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

    const end = endByFindings({ ...known, findings })

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
    const endBy = (code: string, outcome: 'rejected' | 'backordered') =>
      endByFindings({ opened, proposals: checked, findings: [finding(code, outcome)] })

    const short = endBy('out_of_stock', 'backordered')
    const rejected = endBy('no_address', 'rejected')

    assert.deepEqual(short.summary.backorder, { lines })
    assert.equal(rejected.summary.backorder, undefined)
  })

  it('cannot be without a finding', () => {
    assert.throws(() => endByFindings({ ...known, findings: [] }))
  })
})

describe('an end by decision', () => {
  it('is held or cancelled as decided, and undone', () => {
    const hold = endByDecision({ ...ships, decision: 'hold' }, known)
    const cancel = endByDecision({ ...ships, decision: 'cancel' }, known)

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
    const end = endByDecision({ decision: 'hold', by: 'rules', reasons: [] }, known)

    assert.ok(end.summary.message.length > 0)
  })
})

describe('an end by error', () => {
  it('is held as dependency_unavailable when a service was away', () => {
    const end = endByError(error('unavailable', 'deadline_exceeded'))

    assert.deepEqual([end.outcome, end.code, end.undo], ['held', 'dependency_unavailable', true])
    assert.match(end.summary.message, /deadline_exceeded/)
  })

  it('is held under the code of a refusal that the business made', () => {
    const end = endByError(error('rejected', 'order_closed'), known)

    assert.deepEqual([end.outcome, end.code, end.undo], ['held', 'order_closed', true])
    assert.equal(end.summary.decision.by, 'rules')
  })

  it('is held as internal_error, with the first code in its words, for a mistake of ours', () => {
    for (const kind of ['invalid', 'denied', 'missing', 'internal'] as const) {
      const end = endByError(error(kind, 'order_closed'), known)

      assert.deepEqual([end.outcome, end.code, end.undo], ['held', 'internal_error', true])
      assert.match(end.summary.message, /order_closed/)
    }
    assert.equal(endByError(error('rejected', 'never_heard_of')).code, 'internal_error')
  })

  it('keeps what was found out before, a label in no case', () => {
    const found = [finding('over_limit', 'held')]
    const noted = { ...opened, noteSuspicious: true }

    const end = endByError(error('unavailable', 'deadline_exceeded'), {
      opened: noted,
      findings: found,
      label: boughtLabel,
    })

    assert.deepEqual(end.summary.findings, found)
    assert.equal(end.summary.warnings[0]?.code, 'note_contained_instructions')
    assert.equal(end.summary.label, undefined)
  })

  it('is cancelled, by the client, when the client said so', () => {
    const end = endByError(error('rejected', 'cancelled_by_client'))

    assert.deepEqual([end.outcome, end.code], ['cancelled', 'cancelled_by_client'])
    assert.equal(end.summary.decision.by, 'client')
  })

  it('is backordered with what is left when somebody else took the last units', () => {
    const two = availability({ lines: [stockLine(), stockLine({ sku: 'cup' })] })
    const late = error('rejected', 'out_of_stock', { lines: [{ sku: 'mug', available: 1 }] })

    const end = endByError(late, { ...known, proposals: { ...proposals, availability: two } })

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

  it('is backordered with what is left also when the plan skipped the look at stock', () => {
    const late = error('rejected', 'out_of_stock', { lines: [{ sku: 'mug', available: 1 }] })

    const end = endByError(late, { ...known, proposals: { ...proposals, availability: null } })

    assert.deepEqual(end.summary.backorder?.lines, [
      stockLine({ available: 1, short: 1, offer: { kind: 'wait', substituteSku: null } }),
    ])
  })

  it('is backordered also when the refusal does not say which line', () => {
    const end = endByError(error('rejected', 'out_of_stock'), known)

    assert.equal(end.outcome, 'backordered')
  })
})

describe('other ends', () => {
  it('fulfilled keeps the label and who decided, and undoes nothing', () => {
    const end = endFulfilled(ships, boughtLabel, known)

    assert.deepEqual([end.outcome, end.code, end.undo], ['fulfilled', null, false])
    assert.deepEqual(end.summary.label, boughtLabel)
    assert.equal(end.summary.decision.by, 'agent')
  })

  it('stuck undoes nothing and names the error', () => {
    const end = endStuck(error('internal', 'bad_tool_output'))

    assert.deepEqual([end.outcome, end.code, end.undo], ['stuck', 'internal_error', false])
    assert.match(end.summary.message, /bad_tool_output/)
    assert.equal(end.summary.decision.outcome, 'stuck')
    assert.equal(endStuck(error('internal', 'run_failed')).code, 'run_failed')
  })

  it('stuck keeps a label that was bought', () => {
    const end = endStuck(error('unavailable', 'away'), { ...known, label: boughtLabel })

    assert.deepEqual(end.summary.label, boughtLabel)
  })

  it('warn when code or an agent found instructions in the note', () => {
    const warned = (end: { summary: { warnings: readonly { code: string }[] } }) =>
      end.summary.warnings.map(({ code }) => code)
    const byAgent = { ...proposals, validation: validation({ noteContainsInstructions: true }) }
    const byCode = { ...opened, noteSuspicious: true }

    assert.deepEqual(warned(endFulfilled(ships, boughtLabel, known)), [])
    assert.deepEqual(warned(endFulfilled(ships, boughtLabel, { ...known, proposals: byAgent })), [
      'note_contained_instructions',
    ])
    assert.deepEqual(warned(endFulfilled(ships, boughtLabel, { ...known, opened: byCode })), [
      'note_contained_instructions',
    ])
  })
})
