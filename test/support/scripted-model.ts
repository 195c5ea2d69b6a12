/** Claude as a table of replies: a test writes down what the model says, turn by turn. */
import type { AgentDeps } from '../../platform/agent-types.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import type { Block, Model, TurnReply, TurnRequest } from '../../platform/model.ts'

/** What the model does in one turn; an Error is thrown instead of a reply. */
export type ScriptedTurn = TurnReply | Error

export interface ScriptedModel extends Model {
  /** What was asked, turn by turn, as it was at that moment. */
  readonly requests: TurnRequest[]
}

const usage = {
  inputTokens: 100,
  outputTokens: 20,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
}

/** A turn with this content that stops for this reason. Costs 1,000 nano-USD. */
export const turn = (stopReason: string, content: readonly Block[]): TurnReply => ({
  content,
  stopReason,
  usage,
  costNanoUsd: 1_000,
})

/** A turn that asks for tools, all at once: `callsTools(['get_stock', { skus: ['mug'] }])`. */
export const callsTools = (...calls: readonly (readonly [string, object])[]): TurnReply =>
  turn(
    'tool_use',
    calls.map(([name, input], i) => ({ type: 'tool_use', id: `toolu_${i}_${name}`, name, input })),
  )

/** A turn that ends the run with text; anything but a string goes out as JSON. */
export const answers = (verdict: unknown): TurnReply => {
  const text = typeof verdict === 'string' ? verdict : JSON.stringify(verdict)
  return turn('end_turn', [{ type: 'text', text }])
}

/** Plays the turns in order; asked for more, it fails like a request that Claude refuses. */
export function scriptedModel(turns: readonly ScriptedTurn[]): ScriptedModel {
  const requests: TurnRequest[] = []
  return {
    mode: 'standin',
    requests,
    async turn(request) {
      requests.push({ ...request, messages: structuredClone(request.messages) })
      const reply = turns[requests.length - 1] ?? new Error('The script has no more turns')
      if (reply instanceof Error) throw reply
      return reply
    },
  }
}

/** The results that the model got for its last tool calls: parsed JSON, or the text of an error. */
export function toolResults(request: TurnRequest | undefined): unknown[] {
  const blocks = request?.messages.at(-1)?.content ?? []
  return blocks
    .filter((block) => block.type === 'tool_result')
    .map((block) =>
      block.is_error === true ? block.content : (JSON.parse(String(block.content)) as unknown),
    )
}

/** What an agent needs around its model: silent, and one attempt a turn. */
export const agentDeps = (model: Model): AgentDeps => ({
  model,
  metrics: createMetrics('test'),
  log: createLog('test', 'silent'),
  retry: { attemptsMax: 1, backoffMinMs: 1, backoffMaxMs: 1 },
})
