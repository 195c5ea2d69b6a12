import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { openAgent, runAgent } from '../../platform/agent.ts'
import {
  type AgentDraft,
  type AgentLimits,
  type AgentSpec,
  type AgentTool,
  agentTool,
  defaultLimits,
  isRefusal,
} from '../../platform/agent-types.ts'
import { invalid, rejected, unavailable } from '../../platform/errors.ts'
import { createLog, type Log } from '../../platform/log.ts'
import type { Block, Model, TurnRequest } from '../../platform/model.ts'
import {
  agentDeps,
  answers,
  callsTools,
  type ScriptedTurn,
  scriptedModel,
  toolResults,
  turn,
} from '../support/scripted-model.ts'

const verdict = z.object({ answer: z.enum(['yes', 'no']) })
const yes = answers({ answer: 'yes' })
const never = new AbortController().signal
const task = { id: 'task-1' }

const lookUp = agentTool({
  name: 'look_up',
  description: 'Looks one thing up.',
  input: z.object({ thing: z.string().max(10) }),
  run: async ({ thing }) => {
    if (thing === 'gone') throw rejected('no_such_thing', 'It is gone', { next: 'Ask another.' })
    if (thing === 'bug') throw new TypeError('secret internals')
    return { thing, found: true }
  },
})

interface Play {
  readonly limits?: Partial<AgentLimits>
  readonly tools?: readonly AgentTool[]
  readonly model?: Model
  readonly attemptsMax?: number
  readonly draft?: AgentDraft | null
  readonly log?: Log
  readonly holdsWithout?: AgentSpec<typeof verdict>['holdsWithout']
}

function prepare(script: readonly ScriptedTurn[], more: Play) {
  const { limits, model, attemptsMax = 1, log, holdsWithout } = more
  const scripted = scriptedModel(script)
  const silent = agentDeps(model ?? scripted)
  const retry = { ...silent.retry, attemptsMax }
  const deps = { ...silent, retry, log: log ?? silent.log }
  const spec = {
    name: 'asker',
    model: 'claude-haiku-5-5',
    effort: 'low' as const,
    prompt: '<role>Say yes or no.</role>',
    verdict,
    limits: { ...defaultLimits, ...limits },
    ...(holdsWithout && { holdsWithout }),
  }
  return { deps, spec, requests: scripted.requests }
}

/** Runs an agent over a script; the tools and limits may be others. */
async function play(script: readonly ScriptedTurn[], more: Play = {}) {
  const { deps, spec, requests } = prepare(script, more)
  const tools = more.tools ?? [lookUp]
  const run = await runAgent(deps, spec, tools, task, never, more.draft ?? null)
  return { run, requests, metrics: deps.metrics }
}

/** The code of the failure, or 'verdict'. */
const ending = ({ run }: Awaited<ReturnType<typeof play>>) =>
  run.by === 'agent' ? 'verdict' : run.reason.code

describe('an agent', () => {
  it('gives a verdict, with what it used', async () => {
    const { run, requests } = await play([callsTools(['look_up', { thing: 'a' }]), yes])

    assert.equal(run.by, 'agent')
    assert.deepEqual(run.by === 'agent' && run.verdict, { answer: 'yes' })
    assert.equal(requests.length, 2)
    const { durationMs, ...record } = run.record
    assert.ok(durationMs >= 0)
    assert.deepEqual(record, {
      model: 'claude-haiku-5-5',
      mode: 'standin',
      turns: 2,
      stopReason: 'end_turn',
      repaired: false,
      toolCalls: [{ name: 'look_up', ok: true, evidence: '{"thing":"a","found":true}' }],
      usage: {
        inputTokens: 200,
        outputTokens: 40,
        cacheReadTokens: 0,
        cacheWrite5mTokens: 0,
        cacheWrite1hTokens: 0,
      },
      costNanoUsd: 2_000,
    })
  })

  it('gets its task as ids in one user message, and the same prefix on every turn', async () => {
    const { requests } = await play([callsTools(['look_up', { thing: 'a' }]), yes])
    const [first, second] = requests

    assert.deepEqual(first?.messages, [
      { role: 'user', content: [{ type: 'text', text: '<task>{"id":"task-1"}</task>' }] },
    ])
    const prefix = (request: TurnRequest | undefined) =>
      JSON.stringify({ ...request, messages: [] })
    assert.equal(prefix(first), prefix(second))
    assert.deepEqual(second?.messages.slice(0, 1), first?.messages)
  })

  it('offers its tools and verdict as schemas that structured output accepts', async () => {
    const { requests } = await play([yes])
    const [tool] = requests[0]?.tools ?? []

    assert.equal(tool?.name, 'look_up')
    assert.equal(tool?.inputSchema.additionalProperties, false)
    assert.doesNotMatch(JSON.stringify(tool?.inputSchema), /"maxLength"/)
    assert.equal(requests[0]?.verdictSchema.additionalProperties, false)
  })

  it('answers all tool calls of a turn in one message, in their order', async () => {
    const order: string[] = []
    const slow = agentTool({
      ...lookUp,
      input: z.object({ thing: z.string() }),
      run: async ({ thing }) => {
        // The first one ends last: both must be under way at once for this to end.
        if (thing === 'a') await b.promise
        else b.resolve()
        order.push(thing)
        return { thing }
      },
    })
    const b = Promise.withResolvers<void>()
    const { requests } = await play(
      [callsTools(['look_up', { thing: 'a' }], ['look_up', { thing: 'b' }]), yes],
      { tools: [slow] },
    )

    assert.deepEqual(order, ['b', 'a'])
    assert.equal(requests[1]?.messages.length, 3)
    assert.deepEqual(
      requests[1]?.messages[2]?.content.map((block) => [block.type, block.tool_use_id]),
      [
        ['tool_result', 'toolu_0_look_up'],
        ['tool_result', 'toolu_1_look_up'],
      ],
    )
    assert.deepEqual(toolResults(requests[1]), [{ thing: 'a' }, { thing: 'b' }])
  })

  it('sends thinking blocks back unchanged', async () => {
    const content: Block[] = [
      { type: 'thinking', thinking: '', signature: 'c2lnbmF0dXJl' },
      { type: 'redacted_thinking', data: 'opaque' },
      { type: 'text', text: 'Let me look.' },
      { type: 'tool_use', id: 'toolu_1', name: 'look_up', input: { thing: 'a' } },
    ]
    const { requests } = await play([turn('tool_use', content), yes])

    assert.deepEqual(requests[1]?.messages[1], { role: 'assistant', content })
  })

  it('reads the verdict from the last text, past thinking and a preamble', async () => {
    const content = [
      { type: 'thinking', thinking: '', signature: 'x' },
      { type: 'text', text: 'Here it is:' },
      { type: 'text', text: '{"answer":"no"}' },
    ]
    const { run } = await play([turn('end_turn', content)])

    assert.deepEqual(run.by === 'agent' && run.verdict, { answer: 'no' })
  })

  it('goes on after a pause', async () => {
    const played = await play([turn('pause_turn', [{ type: 'text', text: 'wait' }]), yes])

    assert.equal(ending(played), 'verdict')
    assert.equal(played.requests[1]?.messages.at(-1)?.role, 'assistant')
  })
})

describe('the tools of an agent', () => {
  const resultOf = async (name: string, input: object) => {
    const { run, requests } = await play([callsTools([name, input]), yes])
    return { result: toolResults(requests[1])[0], calls: run.record.toolCalls }
  }

  it('tell the model what went wrong and what to do, and the run goes on', async () => {
    const { result, calls } = await resultOf('look_up', { thing: 'gone' })

    assert.equal(result, 'no_such_thing: It is gone Ask another.')
    const evidence = 'no_such_thing'
    assert.deepEqual(calls, [{ name: 'look_up', ok: false, evidence }])
  })

  it('never show the model what a bug says', async () => {
    const { result } = await resultOf('look_up', { thing: 'bug' })

    assert.match(String(result), /^internal: /)
    assert.doesNotMatch(String(result), /secret/)
  })

  it('leave what a bug says in the log', async () => {
    const lines: string[] = []
    const log = createLog('test', 'error', { write: (line) => lines.push(line) })
    await play([callsTools(['look_up', { thing: 'bug' }], ['look_up', { thing: 'gone' }]), yes], {
      log,
    })

    assert.equal(lines.length, 1)
    assert.match(lines.join(), /secret internals/)
  })

  it('check the input of every call', async () => {
    const { result } = await resultOf('look_up', { thing: 'much too long' })

    assert.match(String(result), /^invalid_arguments: thing: /)
  })

  it('answer a call of a tool that does not exist with the names of those that do', async () => {
    const { result, calls } = await resultOf('drop_tables', {})

    assert.match(String(result), /^unknown_tool: .*look_up/)
    assert.deepEqual(
      calls.map(({ name, ok }) => ({ name, ok })),
      [{ name: 'unknown', ok: false }],
    )
  })

  it('refuse to flood the model', async () => {
    const flood = agentTool({
      name: 'look_up',
      description: 'Too much.',
      input: z.object({}),
      run: async () => ({ text: 'x'.repeat(64_000) }),
    })
    const { requests } = await play([callsTools(['look_up', {}]), yes], { tools: [flood] })

    assert.match(String(toolResults(requests[1])[0]), /^result_too_large: /)
  })
})

describe('an agent without a usable verdict leaves it to the rules', () => {
  const text: Block[] = [{ type: 'text', text: '{"answer":"yes"}' }]
  const stops: readonly (readonly [string, string])[] = [
    ['max_tokens', 'truncated'],
    ['model_context_window_exceeded', 'truncated'],
    ['refusal', 'refused'],
    ['something_new', 'unknown_stop'],
    ['none', 'unknown_stop'],
  ]
  for (const [stopReason, code] of stops) {
    it(`${code}: a turn stopped for ${stopReason}, whatever its text says`, async () => {
      const played = await play([turn(stopReason, text), yes])

      assert.equal(ending(played), code)
      assert.equal(played.requests.length, 1)
      assert.equal(played.run.record.stopReason, stopReason)
    })
  }

  it('but takes a stop sequence for an end', async () => {
    assert.equal(ending(await play([turn('stop_sequence', text)])), 'verdict')
  })

  it('runs no tool of a truncated turn', async () => {
    const [call] = callsTools(['look_up', { thing: 'a' }]).content
    const played = await play([turn('max_tokens', call === undefined ? [] : [call]), yes])

    assert.deepEqual(played.run.record.toolCalls, [])
  })

  for (const broken of ['not JSON', '{"answer":"maybe"}', '{}', '[]', 'null']) {
    it(`not after one repair: ${broken}`, async () => {
      const { run, requests } = await play([answers(broken), yes])

      assert.equal(run.by, 'agent')
      assert.equal(run.record.repaired, true)
      const [block] = requests[1]?.messages.at(-1)?.content ?? []
      assert.match(String(block?.text), /did not fit its schema/)
    })
  }

  it('verdict_invalid: the repair did not help either', async () => {
    const played = await play([answers('no JSON'), answers('still none'), yes])

    assert.equal(ending(played), 'verdict_invalid')
    assert.equal(played.requests.length, 2)
    assert.equal(played.run.record.repaired, true)
  })

  it('turn_limit: it asks for tools for ever', async () => {
    const again = Array.from({ length: 5 }, () => callsTools(['look_up', { thing: 'a' }]))
    const played = await play(again, { limits: { turnsMax: 3 } })

    assert.equal(ending(played), 'turn_limit')
    assert.equal(played.run.record.turns, 3)
  })

  it('tool_call_limit: too many calls, none of those beyond is run', async () => {
    const two = callsTools(['look_up', { thing: 'a' }], ['look_up', { thing: 'b' }])
    const played = await play([two, two, yes], { limits: { toolCallsMax: 3 } })

    assert.equal(ending(played), 'tool_call_limit')
    assert.equal(played.run.record.toolCalls.length, 2)
  })

  it('token_limit: checked before each turn', async () => {
    const call = callsTools(['look_up', { thing: 'a' }])
    const played = await play([call, call, yes], { limits: { tokensMax: 240 } })

    assert.equal(ending(played), 'token_limit')
    assert.equal(played.requests.length, 2)
  })

  it('cost_limit: checked before each turn', async () => {
    const call = callsTools(['look_up', { thing: 'a' }])
    const played = await play([call, yes], { limits: { costNanoUsdMax: 1_000 } })

    assert.equal(ending(played), 'cost_limit')
    assert.equal(played.requests.length, 1)
  })

  it('time_limit: the run took too long', async () => {
    const stuck: Model = {
      mode: 'standin',
      turn: (_request, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(unavailable('model_deadline', 'Late')))
        }),
    }
    const played = await play([], { model: stuck, limits: { runMs: 20 }, attemptsMax: 3 })

    assert.equal(ending(played), 'time_limit')
  })

  it('model_unavailable: one turn took too long on every attempt', async () => {
    let attempts = 0
    const stuck: Model = {
      mode: 'standin',
      turn: (_request, signal) =>
        new Promise((_resolve, reject) => {
          attempts += 1
          signal.addEventListener('abort', () => reject(unavailable('model_deadline', 'Late')))
        }),
    }
    const played = await play([], { model: stuck, limits: { turnMs: 5 }, attemptsMax: 2 })

    assert.equal(ending(played), 'model_unavailable')
    assert.equal(attempts, 2)
  })

  it('model_unavailable: Claude is away after every attempt', async () => {
    const away = unavailable('model_overloaded', 'Claude is overloaded')
    const played = await play([away, away, yes], { attemptsMax: 2 })

    assert.equal(ending(played), 'model_unavailable')
    assert.equal(played.run.record.turns, 0)
  })

  it('not when a later attempt works', async () => {
    const away = unavailable('model_overloaded', 'Claude is overloaded')

    assert.equal(ending(await play([away, away, yes], { attemptsMax: 3 })), 'verdict')
  })

  it('model_refused_request: Claude refuses the request, which is not repeated', async () => {
    const played = await play([invalid('model_request_refused', 'Bad'), yes], { attemptsMax: 3 })

    assert.equal(ending(played), 'model_refused_request')
    assert.equal(played.requests.length, 1)
  })

  it('and counts how runs ended, by mode', async () => {
    const counted = async (script: readonly ScriptedTurn[], more: Play = {}) => {
      const { metrics } = await play(script, more)
      const { values } = await metrics.agentOutcomes.get()
      return values.map(({ labels, value }) => [labels.outcome, labels.mode, value])
    }

    assert.deepEqual(await counted([yes]), [['verdict', 'standin', 1]])
    assert.deepEqual(await counted([answers('x'), yes]), [['repaired', 'standin', 1]])
    assert.deepEqual(await counted([turn('refusal', [])]), [['rules', 'standin', 1]])
    const held = { holdsWithout: isRefusal }
    assert.deepEqual(await counted([turn('refusal', [])], held), [['held', 'standin', 1]])
    assert.deepEqual(await counted([turn('max_tokens', [])], held), [['rules', 'standin', 1]])
    assert.deepEqual(await counted([yes], held), [['verdict', 'standin', 1]])
  })
})

describe('an agent that is opened ahead of time', () => {
  /** Opens an agent over a script; the draft went through a record, as it does in a workflow. */
  async function open(script: readonly ScriptedTurn[]): Promise<AgentDraft | null> {
    const { deps, spec } = prepare(script, {})
    const draft = await openAgent(deps, spec, [lookUp], task, never)
    return JSON.parse(JSON.stringify(draft)) as AgentDraft | null
  }

  it('asks its questions first and runs its tools only when it goes on', async () => {
    let isReady = false
    const late = agentTool({
      ...lookUp,
      input: z.object({ thing: z.string() }),
      run: async ({ thing }) => ({ thing, isReady }),
    })
    const draft = await open([callsTools(['look_up', { thing: 'a' }])])
    isReady = true
    const { run, requests } = await play([yes], { draft, tools: [late] })

    assert.equal(run.by, 'agent')
    assert.deepEqual(toolResults(requests[0]), [{ thing: 'a', isReady: true }])
    assert.equal(requests.length, 1)
  })

  it('has the same conversation and record as one that was not', async () => {
    const call = callsTools(['look_up', { thing: 'a' }])
    const whole = await play([call, yes])
    const resumed = await play([yes], { draft: await open([call]) })

    assert.deepEqual(resumed.requests[0], whole.requests[1])
    assert.deepEqual(
      { ...resumed.run.record, durationMs: 0 },
      { ...whole.run.record, durationMs: 0 },
    )
  })

  it('keeps counting towards its limits', async () => {
    const draft = await open([callsTools(['look_up', { thing: 'a' }])])
    const played = await play([yes], { draft, limits: { turnsMax: 1 } })

    assert.equal(ending(played), 'turn_limit')
    assert.equal(played.requests.length, 0)
  })

  it('may have its verdict, or its refusal, in the draft already', async () => {
    const settled = await play([], { draft: await open([yes]) })
    const refused = await play([], { draft: await open([turn('refusal', [])]) })

    assert.equal(ending(settled), 'verdict')
    assert.equal(ending(refused), 'refused')
  })

  it('starts from nothing when the model gave no first turn', async () => {
    const draft = await open([unavailable('model_overloaded', 'Claude is overloaded')])

    assert.equal(draft, null)
    assert.equal(ending(await play([yes], { draft })), 'verdict')
  })
})
