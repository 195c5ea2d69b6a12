import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isOutcomeCode, leadingFinding, outcomeCodes } from '../../orchestrator/outcome.ts'
import type { Finding } from '../../services/order/contract.ts'

const finding = (code: string, outcome: Finding['outcome']): Finding => ({
  code,
  outcome,
  message: `found ${code}`,
  next: 'do something',
})

// Design section 3, top to bottom: the first that applies names the outcome.
const table: Finding[] = [
  finding('unknown_sku', 'rejected'),
  finding('discontinued_sku', 'rejected'),
  finding('unknown_customer', 'rejected'),
  finding('ambiguous_customer', 'rejected'),
  finding('blocked_customer', 'rejected'),
  finding('no_address', 'rejected'),
  finding('out_of_stock', 'backordered'),
  finding('over_limit', 'held'),
  finding('too_heavy', 'held'),
  finding('no_service', 'held'),
  finding('address_refused', 'held'),
  finding('agent_review', 'held'),
]

describe('the codes of an outcome', () => {
  it('have one line of meaning each, and contain those of the table', () => {
    for (const { code } of table) assert.ok(isOutcomeCode(code), code)
    for (const [code, meaning] of Object.entries(outcomeCodes)) {
      assert.match(code, /^[a-z_]{1,64}$/)
      assert.match(meaning, /^[^\n]{1,100}$/)
    }
  })

  it('are a closed set', () => {
    for (const code of ['internal', 'call_refused', 'toString', '']) assert.ok(!isOutcomeCode(code))
  })
})

describe('the leading finding', () => {
  it('is none when nothing was found', () => {
    assert.equal(leadingFinding([]), undefined)
  })

  it('is the first of the table, for every pair and in whatever order they were found', () => {
    for (const [i, first] of table.entries()) {
      for (const second of table.slice(i + 1)) {
        assert.equal(leadingFinding([first, second]), first)
        assert.equal(leadingFinding([second, first]), first)
      }
    }
  })

  it('is rejected before backordered before held, also for codes that the table lacks', () => {
    const rejected = finding('new_rule', 'rejected')
    const backordered = finding('new_shortage', 'backordered')
    const held = finding('new_doubt', 'held')

    assert.equal(leadingFinding([held, backordered, rejected]), rejected)
    assert.equal(leadingFinding([held, backordered]), backordered)
    assert.equal(leadingFinding([held, ...table]), table[0])
    assert.equal(leadingFinding([rejected, finding('out_of_stock', 'backordered')]), rejected)
  })

  it('names a code of the table before one that the table lacks', () => {
    const known = finding('agent_review', 'held')

    assert.equal(leadingFinding([finding('new_doubt', 'held'), known]), known)
  })

  it('leaves the findings in the order in which they were found', () => {
    const found = [...table].reverse()

    leadingFinding(found)

    assert.deepEqual(found, [...table].reverse())
  })
})
