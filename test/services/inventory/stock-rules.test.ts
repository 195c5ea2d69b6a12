import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clipReasons } from '../../../platform/tool.ts'
import {
  chooseOffer,
  type Judgement,
  type LineFacts,
  lineFacts,
  mergeLines,
  settle,
  settleByRules,
  shortLines,
} from '../../../services/inventory/stock-rules.ts'

const line = (sku: string, quantity: number) => ({ sku, quantity })
const stock = (sku: string, available: number, restockDate: string | null = null) => ({
  sku,
  name: `Some ${sku}`,
  available,
  restockDate,
})
const facts = (over: Partial<LineFacts> = {}): LineFacts => ({
  sku: 'tray',
  quantity: 5,
  available: 3,
  short: 2,
  restockDate: null,
  substitutes: [],
  ...over,
})
const substitute = (sku: string, available: number, covers: boolean) => ({
  sku,
  name: `Some ${sku}`,
  available,
  covers,
})
const covered = facts({ available: 9, short: 0 })
const walnut = substitute('walnut', 20, true)
const judged = (
  verdict: Judgement['verdict'],
  over: Partial<Judgement['lines'][number]> = {},
): Judgement => ({
  verdict,
  lines: [
    {
      sku: 'tray',
      available: verdict === 'available',
      offer: 'none',
      substituteSku: null,
      ...over,
    },
  ],
  reasons: ['I looked.'],
})

describe('merging lines', () => {
  it('adds up the quantities of one sku and sorts by sku, capitals first', () => {
    const merged = mergeLines([line('b', 1), line('a', 2), line('b', 3), line('C', 1)])

    assert.deepEqual(merged, [line('C', 1), line('a', 2), line('b', 4)])
  })
})

describe('short lines', () => {
  it('are all lines that want more than there is; an unknown sku has none', () => {
    const available = new Map([
      ['cup', 5],
      ['mug', 1],
    ])

    assert.deepEqual(shortLines([line('cup', 5), line('mug', 2), line('jar', 1)], available), [
      { sku: 'mug', quantity: 2, available: 1 },
      { sku: 'jar', quantity: 1, available: 0 },
    ])
  })
})

describe('the facts of a line', () => {
  it('say what is missing, when it comes back and what could replace it', () => {
    const found = lineFacts(
      [line('tray', 5), line('cup', 1)],
      [stock('tray', 3, '2027-01-15'), stock('cup', 1)],
      [
        { ...stock('walnut', 20), insteadOf: 'tray' },
        { ...stock('tin', 4), insteadOf: 'tray' },
      ],
    )

    assert.deepEqual(found, [
      facts({ restockDate: '2027-01-15', substitutes: [walnut, substitute('tin', 4, false)] }),
      facts({ sku: 'cup', quantity: 1, available: 1, short: 0 }),
    ])
  })

  it('let a substitute cover exactly the units it has', () => {
    const substitutes = [{ ...stock('tin', 4), insteadOf: 'tray' }]
    const covers = (quantity: number) =>
      lineFacts([line('tray', quantity)], [], substitutes)[0]?.substitutes[0]?.covers

    assert.deepEqual([covers(4), covers(5)], [true, false])
  })

  it('have no units of a sku that is not stocked', () => {
    assert.deepEqual(lineFacts([line('jar', 2)], [], []), [
      facts({ sku: 'jar', quantity: 2, available: 0, short: 2 }),
    ])
  })

  it('do not count units of a substitute that the order itself takes', () => {
    const [found] = lineFacts(
      [line('tray', 5), line('walnut', 18)],
      [stock('tray', 3), stock('walnut', 20)],
      [{ ...stock('walnut', 20), insteadOf: 'tray' }],
    )

    assert.deepEqual(found?.substitutes, [substitute('walnut', 2, false)])
  })
})

describe('the offer of the rules', () => {
  it('is nothing for a line that stock covers', () => {
    const offer = chooseOffer({ ...covered, substitutes: [walnut] })

    assert.deepEqual(offer, { kind: 'none', substituteSku: null })
  })

  it('is the first substitute that covers the whole quantity', () => {
    const substitutes = [substitute('tin', 4, false), walnut, substitute('ash', 30, true)]

    assert.deepEqual(chooseOffer(facts({ substitutes })), {
      kind: 'substitute',
      substituteSku: 'walnut',
    })
  })

  it('is a part when some units are free and no substitute covers', () => {
    const offer = chooseOffer(facts({ substitutes: [substitute('tin', 4, false)] }))

    assert.deepEqual(offer, { kind: 'part', substituteSku: null })
  })

  it('is to wait when nothing is free', () => {
    const offer = chooseOffer(facts({ available: 0, short: 5 }))

    assert.deepEqual(offer, { kind: 'wait', substituteSku: null })
  })
})

describe('settling a check', () => {
  it('agrees when both say the same', () => {
    assert.equal(settle([covered], judged('available')).verdict, 'available')
    assert.equal(settle([facts()], judged('short', { offer: 'wait' })).verdict, 'short')
    assert.deepEqual(settle([covered], judged('available')).reasons, ['I looked.'])
  })

  it('is short, and says so, when an agent sees stock that is not there', () => {
    const settled = settle([facts()], judged('available'))

    assert.equal(settled.available, false)
    assert.equal(settled.verdict, 'short')
    assert.deepEqual(settled.reasons, [
      'The agent called the order available; stock is short of tray.',
      'I looked.',
    ])
    assert.deepEqual(settled.lines[0]?.offer, { kind: 'part', substituteSku: null })
  })

  it('goes to a person when an agent misses stock that is there', () => {
    const settled = settle([covered], judged('short', { offer: 'wait' }))

    assert.equal(settled.available, true)
    assert.equal(settled.verdict, 'review')
    assert.match(settled.reasons[0] ?? '', /stock covers every line/)
    assert.deepEqual(settled.lines[0]?.offer, { kind: 'none', substituteSku: null })
  })

  it('goes to a person when an agent calls the order available but a line of it short', () => {
    assert.equal(settle([covered], judged('available', { available: false })).verdict, 'review')
  })

  it('passes on that an agent wants a person to look', () => {
    assert.equal(settle([covered], judged('review')).verdict, 'review')
    assert.equal(settle([facts()], judged('review')).verdict, 'review')
    assert.equal(settle([facts()], judged('review')).available, false)
  })

  const offers = [
    ['to wait', 'wait', null, 'wait'],
    ['a part of what is free', 'part', null, 'part'],
    ['a listed substitute that covers', 'substitute', 'ash', 'substitute'],
  ] as const
  for (const [name, offer, substituteSku, kind] of offers) {
    it(`follows an agent that offers ${name}`, () => {
      const line = facts({ substitutes: [walnut, substitute('ash', 30, true)] })

      const settled = settle([line], judged('short', { offer, substituteSku }))

      assert.deepEqual(settled.lines[0]?.offer, { kind, substituteSku })
      assert.deepEqual(settled.reasons, ['I looked.'])
    })
  }

  const lies = [
    ['a substitute that is not listed', 'gold', facts({ substitutes: [walnut] })],
    [
      'a substitute that does not cover',
      'tin',
      facts({ substitutes: [walnut, substitute('tin', 4, false)] }),
    ],
    ['a substitute without a name', null, facts({ substitutes: [walnut] })],
  ] as const
  for (const [name, substituteSku, line] of lies) {
    it(`keeps the offer of the rules when an agent offers ${name}`, () => {
      const settled = settle([line], judged('short', { offer: 'substitute', substituteSku }))

      assert.deepEqual(settled.lines[0]?.offer, { kind: 'substitute', substituteSku: 'walnut' })
      assert.match(settled.reasons[0] ?? '', /does not bear that out/)
    })
  }

  it('keeps the offer of the rules when an agent offers a part of nothing', () => {
    const settled = settle([facts({ available: 0, short: 5 })], judged('short', { offer: 'part' }))

    assert.deepEqual(settled.lines[0]?.offer, { kind: 'wait', substituteSku: null })
  })

  it('fills in the offer of the rules where an agent gives none', () => {
    const silent = { verdict: 'short', lines: [], reasons: [] } as const

    assert.equal(settle([facts()], silent).lines[0]?.offer.kind, 'part')
    assert.equal(settle([facts()], judged('short')).lines[0]?.offer.kind, 'part')
  })

  it('drops a substitute that comes with another kind of offer', () => {
    const line = facts({ substitutes: [walnut] })
    const settled = settle([line], judged('short', { offer: 'wait', substituteSku: 'walnut' }))

    assert.deepEqual(settled.lines[0]?.offer, { kind: 'wait', substituteSku: null })
  })
})

describe('settling a check without an agent', () => {
  const down = { code: 'model_unavailable', message: 'Claude is overloaded' } as const

  it('follows the database alone, and says why', () => {
    const lines = [facts({ substitutes: [walnut] }), facts({ ...covered, sku: 'cup' })]

    const settled = settleByRules(lines, down)

    assert.equal(settled.available, false)
    assert.equal(settled.verdict, 'short')
    assert.deepEqual(
      settled.lines.map(({ offer }) => offer.kind),
      ['substitute', 'none'],
    )
    assert.deepEqual(settled.reasons, [
      'No agent looked at this order, rules did: Claude is overloaded.',
    ])
    assert.equal(settleByRules([covered], down).verdict, 'available')
  })

  it('goes to a person when the model refused the task', () => {
    const refused = { code: 'refused', message: 'The model refused the task' } as const

    assert.equal(settleByRules([covered], refused).verdict, 'review')
    assert.equal(settleByRules([facts()], refused).available, false)
  })
})

describe('clipping reasons', () => {
  it('drops empty ones and halves no character', () => {
    assert.deepEqual(clipReasons([' ', ' Fine. ', `${'x'.repeat(299)}\u{1f600}`]), [
      'Fine.',
      `${'x'.repeat(299)}\ufffd`,
    ])
  })

  it('keeps eight reasons of 300 characters', () => {
    const clipped = clipReasons(Array.from({ length: 12 }, () => 'x'.repeat(400)))

    assert.equal(clipped.length, 8)
    assert.ok(clipped.every((reason) => reason.length === 300))
  })
})
