/** From a policy's move to the content of one assistant message, within what the request allows. */

import type { ContentBlock, StopReason } from '@anthropic-ai/sdk/resources/messages'
import type { Ids } from './ids.ts'
import type { RawBlock } from './personas/persona.ts'
import type { Call, Move } from './policy.ts'
import { isForced } from './request-rules.ts'
import type { MessagesRequest } from './request-shape.ts'
import { fitToSchema } from './schema-fit.ts'

export type TurnContent = {
  readonly content: readonly ContentBlock[]
  readonly stopReason: StopReason
  /** Bytes the model would have thought, whether or not the text is shown. */
  readonly thoughtBytes: number
  /** Billed at most: a persona may say more than `max_tokens`, but nobody pays for more. */
  readonly tokensMax?: number
}

/**
 * The content for a move. A forced tool choice turns any move into a call without thinking;
 * `disable_parallel_tool_use` leaves the first call; a verdict is cut to the output format.
 */
export function contentOf(
  move: Move,
  request: MessagesRequest,
  ids: Ids,
  sign: (thinking: string) => string,
): TurnContent {
  const calls = callsOf(move, request)
  if (calls.length > 0) {
    const thought = move.kind === 'call' && thinks(request) ? move.thought : ''
    const thinking = thought === '' ? [] : [thinkingBlock(thought, request, sign)]
    return {
      content: [...thinking, ...calls.map((call) => toolUseBlock(call, ids))],
      stopReason: 'tool_use',
      thoughtBytes: Buffer.byteLength(thought),
    }
  }
  return { content: [textBlock(textOf(move, request))], stopReason: 'end_turn', thoughtBytes: 0 }
}

/** What a persona says, as it is: neither offered tools nor the output format bind it. */
export function rawContent(
  blocks: readonly RawBlock[],
  stopReason: string,
  ids: Ids,
  tokensMax: number,
): TurnContent {
  const content = blocks.map((block): ContentBlock => {
    if (block.type === 'text') return textBlock(block.text)
    const { id = ids.toolUse(), name, input } = block
    return { type: 'tool_use', id, name, input, caller: { type: 'direct' } }
  })
  // The types know the vendor's stop reasons only; a persona may make one up.
  return { content, stopReason: stopReason as StopReason, thoughtBytes: 0, tokensMax }
}

export function textBlock(text: string): ContentBlock {
  return { type: 'text', text, citations: null }
}

function thinks(request: MessagesRequest): boolean {
  const type = request.thinking?.type ?? 'adaptive'
  return type === 'adaptive' && !isForced(request)
}

/** The text is left out unless asked for; the signature covers what is sent. */
function thinkingBlock(
  thought: string,
  request: MessagesRequest,
  sign: (thinking: string) => string,
): ContentBlock {
  const thinking = request.thinking?.display === 'summarized' ? thought : ''
  return { type: 'thinking', thinking, signature: sign(thinking) }
}

function toolUseBlock({ name, input }: Call, ids: Ids): ContentBlock {
  return { type: 'tool_use', id: ids.toolUse(), name, input, caller: { type: 'direct' } }
}

function callsOf(move: Move, request: MessagesRequest): readonly Call[] {
  const choice = request.tool_choice
  if (choice?.type === 'none') return []
  const wanted = move.kind === 'call' ? move.calls : []
  if (choice?.type === 'tool') {
    const fitting = wanted.filter(({ name }) => name === choice.name)
    return fitting.length > 0 ? fitting : [anyCall(choice.name, request)]
  }
  if (choice?.type === 'any' && wanted.length === 0) {
    return [anyCall(request.tools?.[0]?.name ?? '', request)]
  }
  return choice?.disable_parallel_tool_use === true ? wanted.slice(0, 1) : wanted
}

/** A call that fits the tool's schema and means nothing: the client left no other choice. */
function anyCall(name: string, request: MessagesRequest): Call {
  const schema = request.tools?.find((tool) => tool.name === name)?.input_schema
  return { name, input: fitToSchema({}, schema) as Call['input'] } // an object: input_schema says so
}

function textOf(move: Move, request: MessagesRequest): string {
  const schema = request.output_config?.format?.schema
  if (move.kind === 'verdict') {
    return JSON.stringify(schema === undefined ? move.verdict : fitToSchema(move.verdict, schema))
  }
  if (schema !== undefined) return JSON.stringify(fitToSchema(undefined, schema))
  return move.kind === 'say' ? move.text : 'The stand-in has nothing more to say.'
}
