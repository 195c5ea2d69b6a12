import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { runAgent } from '../../platform/agent.ts'
import { modelsBelow } from '../../platform/agent-config.ts'
import { type AgentLimits, agentTool, defaultLimits } from '../../platform/agent-types.ts'
import { denied, rejected, unavailable } from '../../platform/errors.ts'
import type { Model, TurnRequest } from '../../platform/model.ts'
import { agentDeps, answers, callsTools, type ScriptedTurn } from '../support/scripted-model.ts'

const [opus, sonnet, haiku] = ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-haiku-5-5'] as const
const never = new AbortController().signal
const overloaded = unavailable('model_overloaded', 'Claude is overloaded')
const resting = unavailable('circuit_open', 'Claude is resting')
const stalled = unavailable('model_deadline', 'Claude did not finish in time')
const limited = (retryAfterMs: number) =>
  unavailable('model_rate_limited', 'Used up', { details: { retryAfterMs } })
const yes = answers({ answer: 'yes' })

type Script = Readonly<Record<string, readonly ScriptedTurn[]>>

/** Each model plays its own script; the last turn of it is repeated. */
async function play(script: Script, limits: Partial<AgentLimits> = {}, attemptsMax = 3) {
  const requests: TurnRequest[] = []
  const model: Model = {
    mode: 'standin',
    async turn(request) {
      const times = requests.filter((r) => r.model === request.model).length
      requests.push({ ...request, messages: structuredClone(request.messages) })
      const turns = script[request.model] ?? []
      const turn = turns[Math.min(times, turns.length - 1)]
      if (turn === undefined || turn instanceof Error) throw turn ?? new Error('no script')
      return turn
    },
  }
  const deps = { ...agentDeps(model), retry: { attemptsMax, backoffMinMs: 1, backoffMaxMs: 2 } }
  const spec = {
    ...{ name: 'asker', model: opus, fallbacks: [sonnet, haiku], effort: 'low' as const },
    ...{ prompt: '<role>Say yes or no.</role>', verdict: z.object({ answer: z.string() }) },
    limits: { ...defaultLimits, ...limits },
  }
  const tool = agentTool({
    name: 'look_up',
    description: 'Looks it up.',
    input: z.object({ thing: z.string() }),
    run: async () => ({ found: true }),
  })
  const run = await runAgent(deps, spec, [tool], { id: 'task-1' }, never)
  return { run, requests, metrics: deps.metrics, asked: requests.map((request) => request.model) }
}

describe('the ladder of models', () => {
  it('leads from Opus to Sonnet to Haiku, and from a model off the ladder nowhere', () => {
    assert.deepEqual(modelsBelow(opus), [sonnet, haiku])
    assert.deepEqual(modelsBelow(haiku), [])
    assert.deepEqual(modelsBelow('claude-other'), [])
  })

  it('is gone down after the attempts of a model, and the answer says so', async () => {
    const { run, asked, metrics } = await play({ [opus]: [overloaded], [sonnet]: [yes] })

    assert.equal(run.by, 'agent')
    assert.deepEqual(asked, [opus, opus, opus, sonnet])
    assert.equal(run.record.model, sonnet)
    assert.deepEqual(run.record.fallbackFrom, [{ model: opus, code: 'model_overloaded' }])
    assert.match(
      await metrics.registry.metrics(),
      /agent_fallbacks_total\{from="claude-opus-5-5",to="claude-sonnet-5-5",mode="standin",service="test"\} 1/,
    )
  })

  it('ends at the rules', async () => {
    const { run, asked } = await play({
      ...{ [opus]: [overloaded], [sonnet]: [resting], [haiku]: [overloaded] },
    })

    assert.equal(run.by === 'rules' && run.reason.code, 'model_unavailable')
    assert.deepEqual(asked, [opus, opus, opus, sonnet, haiku, haiku, haiku])
    assert.deepEqual(
      run.record.fallbackFrom?.map(({ model }) => model),
      [opus, sonnet],
    )
  })

  it('starts the step over: a model never continues what another one thought', async () => {
    const asks = callsTools(['look_up', { thing: 'a' }])
    const { run, requests } = await play({ [opus]: [asks, overloaded], [sonnet]: [asks, yes] })

    const onSonnet = requests.filter(({ model }) => model === sonnet)
    assert.equal(onSonnet[0]?.messages.length, 1)
    assert.deepEqual(onSonnet[0]?.messages, requests[0]?.messages)
    // Everything that was used counts, on whichever rung.
    assert.deepEqual([run.record.turns, run.record.costNanoUsd], [3, 3_000])
    assert.equal(run.record.toolCalls.length, 2)
  })

  for (const [what, error] of [
    ['is resting', resting],
    ['has stalled', stalled],
    ['is out of its quota for long', limited(30_000)],
  ] as const) {
    it(`is gone down at once when a model ${what}`, async () => {
      const { asked } = await play({ [opus]: [error], [sonnet]: [yes] })

      assert.deepEqual(asked, [opus, sonnet])
    })
  }

  it('waits for a short rate limit, and honours it up to the longest backoff', async () => {
    const { asked } = await play({ [opus]: [limited(1_000), yes] })

    assert.deepEqual(asked, [opus, opus])
  })

  for (const [what, error] of [
    ['Claude cannot be reached', unavailable('model_unreachable', 'No route')],
    ['the budget is used up', rejected('model_spend_limit', 'No money')],
    ['the key is refused', denied('model_key_refused', 'No')],
  ] as const) {
    it(`is of no use when ${what}: rules answer`, async () => {
      const { run, asked } = await play({ [opus]: [error] })

      assert.equal(run.by, 'rules')
      assert.deepEqual([...new Set(asked)], [opus])
    })
  }

  it('keeps the limits of the run over all of its rungs', async () => {
    const asks = callsTools(['look_up', { thing: 'a' }])
    const { run } = await play(
      { [opus]: [asks, overloaded], [sonnet]: [asks, asks, yes] },
      { costNanoUsdMax: 2_000 },
    )

    assert.equal(run.by === 'rules' && run.reason.code, 'cost_limit')
  })
})
