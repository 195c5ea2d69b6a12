import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { defaultLimits } from '../../../platform/agent-types.ts'
import { unavailable } from '../../../platform/errors.ts'
import { toModelSchema } from '../../../platform/model.ts'
import { createStockAgent, stockVerdict } from '../../../services/inventory/agent.ts'
import { checkInventory } from '../../../services/inventory/contract.ts'
import type { Line } from '../../../services/inventory/stock-rules.ts'
import { inventoryTools } from '../../../services/inventory/tools.ts'
import { testDatabase } from '../../support/database.ts'
import {
  agentDeps,
  answers,
  callsTools,
  type ScriptedTurn,
  scriptedModel,
  toolResults,
  turn,
} from '../../support/scripted-model.ts'
import { resetStock, unitsOf } from './stock-of.ts'

describe('check_inventory', () => {
  let db: Awaited<ReturnType<typeof testDatabase>>

  before(async () => {
    db = await testDatabase('services/inventory/migrations')
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(async () => {
    await resetStock(db, { cup: 5, tray: 3, walnut: 20, tin: 1, secret: 7 })
    await db.query(
      `update stock set restock_date = '2027-01-15' where sku = 'tray';
       insert into substitute values ('tray', 'tin', 1), ('tray', 'walnut', 2)`,
    )
  })

  const settings = { model: 'claude-sonnet-5-5', effort: 'medium', limits: defaultLimits } as const

  /** Runs the tool for `lines` while the model says `turns`. */
  async function check(lines: readonly Line[], turns: readonly ScriptedTurn[]) {
    const model = scriptedModel(turns)
    const askAgent = createStockAgent(agentDeps(model), settings)
    const tool = inventoryTools(db, askAgent).find(
      ({ contract }) => contract.name === checkInventory.name,
    )
    const context = {
      signal: AbortSignal.timeout(10_000),
      traceId: 'trace',
      clientId: 'test',
      scopes: [],
    }
    const input = checkInventory.input.parse({ orderId: randomUUID(), round: 1, lines })
    const output = checkInventory.output.parse(await tool?.handle(input, context))
    return { output, requests: model.requests }
  }

  const cups = [{ sku: 'cup', quantity: 2 }]
  const trays = [{ sku: 'tray', quantity: 5 }]
  const verdict = (word: string, offer = 'none', substituteSku: string | null = null) =>
    answers({
      verdict: word,
      lines: [{ sku: 'tray', available: word === 'available', offer, substituteSku }],
      reasons: ['3 of 5 trays are free.'],
    })

  it('answers with the numbers of the database and the offer of the agent', async () => {
    const { output, requests } = await check(trays, [
      callsTools(['get_stock', { skus: ['tray'] }]),
      callsTools(
        ['find_substitutes', { sku: 'tray', quantity: 5 }],
        ['get_restock_date', { sku: 'tray' }],
      ),
      verdict('short', 'wait'),
    ])

    assert.deepEqual(toolResults(requests[1]), [
      { stock: [{ sku: 'tray', name: 'Some tray', available: 3 }] },
    ])
    const substitutes = [
      { sku: 'tin', name: 'Some tin', available: 1, covers: false },
      { sku: 'walnut', name: 'Some walnut', available: 20, covers: true },
    ]
    assert.deepEqual(toolResults(requests[2]), [
      { sku: 'tray', substitutes },
      { sku: 'tray', restockDate: '2027-01-15' },
    ])
    assert.equal(output.by, 'agent')
    assert.equal(output.available, false)
    assert.equal(output.verdict, 'short')
    assert.deepEqual(output.lines, [
      {
        sku: 'tray',
        quantity: 5,
        available: 3,
        short: 2,
        restockDate: '2027-01-15',
        substitutes,
        offer: { kind: 'wait', substituteSku: null },
      },
    ])
    assert.deepEqual(output.reasons, ['3 of 5 trays are free.'])
    assert.equal(output.agent.turns, 3)
    assert.equal(output.agent.costNanoUsd, 3_000)
  })

  it('gives the model ids and quantities only, and the same prefix for every order', async () => {
    const first = await check(trays, [verdict('short', 'wait')])
    const second = await check(cups, [verdict('available')])

    const [a, b] = [first.requests[0], second.requests[0]]
    assert.match(
      String(a?.messages[0]?.content[0]?.text),
      /^<task>\{"orderId":"[0-9a-f-]{36}","round":1,"lines":\[\{"sku":"tray","quantity":5\}\]\}<\/task>$/,
    )
    assert.equal(a?.model, 'claude-sonnet-5-5')
    assert.equal(a?.effort, 'medium')
    assert.equal(JSON.stringify([a?.system, a?.tools]), JSON.stringify([b?.system, b?.tools]))
    assert.deepEqual(
      a?.tools.map(({ name }) => name),
      ['get_stock', 'find_substitutes', 'get_restock_date'],
    )
    assert.ok((a?.system.split(/\s+/).length ?? 0) > 450, 'long enough to be cached')
  })

  it('asks for a verdict whose schema structured output accepts', () => {
    const schema = JSON.stringify(toModelSchema(stockVerdict))

    assert.doesNotMatch(schema, /"(maxItems|maxLength|minLength|pattern)"/)
    assert.match(schema, /"additionalProperties":false/)
  })

  it('holds nothing', async () => {
    await check(cups, [verdict('available')])

    assert.deepEqual(await unitsOf(db, 'cup'), { available: 5, held: 0, committed: 0 })
  })

  it('adds up lines of one sku', async () => {
    const lines = [
      { sku: 'cup', quantity: 3 },
      { sku: 'cup', quantity: 3 },
    ]
    const { output } = await check(lines, [verdict('available')])

    assert.equal(output.verdict, 'short')
    assert.equal(output.lines[0]?.quantity, 6)
  })

  describe('an agent that errs', () => {
    it('cannot make a short order available', async () => {
      const { output } = await check(trays, [verdict('available')])

      assert.equal(output.available, false)
      assert.equal(output.verdict, 'short')
      assert.match(output.reasons[0] ?? '', /called the order available; stock is short of tray/)
      assert.equal(output.lines[0]?.offer.substituteSku, 'walnut')
    })

    it('sends an order to a person that it calls short while stock covers it', async () => {
      const { output } = await check(cups, [verdict('short')])

      assert.equal(output.available, true)
      assert.equal(output.verdict, 'review')
    })

    for (const [name, sku] of [
      ['the database does not list', 'secret'],
      ['does not cover the line', 'tin'],
      ['nobody stocks', 'unicorn'],
    ] as const) {
      it(`cannot offer a substitute that ${name}`, async () => {
        const { output } = await check(trays, [verdict('short', 'substitute', sku)])

        assert.deepEqual(output.lines[0]?.offer, { kind: 'substitute', substituteSku: 'walnut' })
        assert.ok(output.reasons[0]?.includes(`substitute ${sku}`))
      })
    }

    it('may talk at length; the answer keeps eight reasons of 300 characters', async () => {
      const reasons = Array.from({ length: 20 }, () => 'so '.repeat(200))
      const { output } = await check(cups, [answers({ verdict: 'available', lines: [], reasons })])

      assert.equal(output.by, 'agent')
      assert.equal(output.reasons.length, 8)
      assert.equal(output.reasons[0]?.length, 300)
    })

    it('has its review passed on', async () => {
      const { output } = await check(cups, [verdict('review')])

      assert.equal(output.verdict, 'review')
      assert.equal(output.available, true)
    })
  })

  describe('an agent without a verdict', () => {
    it('may repair it once', async () => {
      const { output, requests } = await check(trays, [
        answers({ verdict: 'plenty' }),
        verdict('short', 'part'),
      ])

      assert.equal(output.by, 'agent')
      assert.equal(output.agent.repaired, true)
      assert.match(JSON.stringify(requests[1]?.messages.at(-1)), /did not fit its schema: verdict/)
      assert.equal(output.lines[0]?.offer.kind, 'part')
    })

    const failures: readonly (readonly [string, string, readonly ScriptedTurn[]])[] = [
      ['stays unreadable', 'verdict_invalid', [answers('Sure!'), answers('It is there.')]],
      ['is cut off', 'truncated', [turn('max_tokens', [{ type: 'text', text: '{"verd' }])]],
      [
        'never comes',
        'turn_limit',
        Array.from({ length: 10 }, () => callsTools(['get_stock', { skus: ['tray'] }])),
      ],
      ['cannot be had', 'model_unavailable', [unavailable('model_overloaded', 'Overloaded')]],
    ]
    for (const [name, code, turns] of failures) {
      it(`leaves the offers to the rules when it ${name}`, async () => {
        const { output } = await check(trays, turns)

        assert.equal(output.by, 'rules')
        assert.equal(output.agentFailure?.code, code)
        assert.equal(output.verdict, 'short')
        assert.deepEqual(output.lines[0]?.offer, { kind: 'substitute', substituteSku: 'walnut' })
      })
    }

    it('sends the order to a person when it refused the task', async () => {
      const { output } = await check(cups, [turn('refusal', [])])

      assert.equal(output.by, 'rules')
      assert.equal(output.agentFailure?.code, 'refused')
      assert.equal(output.verdict, 'review')
    })
  })

  describe('the tools of the agent', () => {
    const refusal = /^not_in_order: secret is neither in this order nor a substitute/

    it('know nothing but the skus of the order and their listed substitutes', async () => {
      const { output, requests } = await check(trays, [
        callsTools(
          ['get_stock', { skus: ['tray', 'secret'] }],
          ['get_stock', { skus: ['walnut', 'tin'] }],
          ['find_substitutes', { sku: 'secret', quantity: 1 }],
          ['find_substitutes', { sku: 'walnut', quantity: 1 }],
          ['get_restock_date', { sku: 'secret' }],
          ['get_restock_date', { sku: 'walnut' }],
        ),
        verdict('short', 'wait'),
      ])

      const results = toolResults(requests[1])
      assert.match(String(results[0]), refusal)
      assert.deepEqual(results[1], {
        stock: [
          { sku: 'walnut', name: 'Some walnut', available: 20 },
          { sku: 'tin', name: 'Some tin', available: 1 },
        ],
      })
      assert.match(String(results[2]), refusal)
      assert.match(String(results[3]), /^not_in_order: walnut/)
      assert.match(String(results[4]), refusal)
      assert.deepEqual(results[5], { sku: 'walnut', restockDate: null })
      assert.deepEqual(
        output.agent.toolCalls.map(({ ok }) => ok),
        [false, true, false, false, false, true],
      )
    })

    it('leave out a sku of the order that nobody stocks', async () => {
      const { output, requests } = await check(
        [{ sku: 'unicorn', quantity: 1 }],
        [
          callsTools(
            ['get_stock', { skus: ['unicorn'] }],
            ['find_substitutes', { sku: 'unicorn', quantity: 1 }],
            ['get_restock_date', { sku: 'unicorn' }],
          ),
          answers({ verdict: 'short', lines: [], reasons: [] }),
        ],
      )

      assert.deepEqual(toolResults(requests[1]), [
        { stock: [] },
        { sku: 'unicorn', substitutes: [] },
        { sku: 'unicorn', restockDate: null },
      ])
      assert.equal(output.lines[0]?.short, 1)
      assert.deepEqual(output.lines[0]?.offer, { kind: 'wait', substituteSku: null })
    })

    it('answer what is not a tool, or not its input, with what to do instead', async () => {
      const { requests } = await check(trays, [
        callsTools(['set_stock', { sku: 'tray', available: 9 }], ['get_stock', { skus: [] }]),
        verdict('short', 'wait'),
      ])

      const [unknown, malformed] = toolResults(requests[1])
      assert.match(String(unknown), /^unknown_tool: .*Use one of: get_stock/)
      assert.match(String(malformed), /^invalid_arguments: skus/)
    })
  })
})
