import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readBaseline } from './expected-failures.ts'

describe('the expected failures', () => {
  for (const name of ['2025-11-25', 'services']) {
    it(`have a reason each (${name})`, () => {
      const { reasons } = readBaseline(name)

      assert.ok(reasons.size > 0)
      for (const [entry, reason] of reasons) assert.ok(reason.length > 40, entry)
    })
  }

  it('excuse in the 2025 requirements only what needs a session', () => {
    assert.deepEqual([...readBaseline('2025-11-25').reasons.keys()].sort(), [
      'elicitation-sep1034-defaults',
      'elicitation-sep1330-enums',
      'server-sse-multiple-streams',
      'tools-call-elicitation',
      'tools-call-sampling',
    ])
  })
})
