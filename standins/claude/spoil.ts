/** Content that goes wrong: what the faults of content make of a healthy turn, and the token limit. */

import type { ContentBlock } from '@anthropic-ai/sdk/resources/messages'
import type { Fault } from './faults.ts'
import { tokensOf } from './prompt-prefix.ts'
import { inputText } from './raw-input.ts'
import type { TurnContent } from './turn-content.ts'
import { textBlock } from './turn-content.ts'

/** The turn as the fault leaves it; faults of status and transport do not touch the content. */
export function spoilContent(turn: TurnContent, kind: Fault['kind'] | undefined): TurnContent {
  switch (kind) {
    case 'max_tokens':
      return cutOff(turn)
    case 'refusal':
      return { content: [], stopReason: 'refusal', thoughtBytes: 0 }
    case 'bad_verdict':
      // No agent's schema allows this: an unknown word, a field too many, the others missing.
      return {
        ...turn,
        content: [textBlock('{"verdict":"standin_bad_verdict","unexpected":true}')],
      }
    case 'not_json':
      return { ...turn, content: [textBlock('As far as the stand-in can see, this looks fine.')] }
    default:
      return turn
  }
}

/** The turn within `max_tokens`: cut off, with stop reason `max_tokens`, when it does not fit. */
export function limitContent(turn: TurnContent, maxTokens: number): TurnContent {
  if (maxTokens === 0) return { content: [], stopReason: 'max_tokens', thoughtBytes: 0 }
  return outputTokensOf(turn) <= maxTokens ? turn : cutOff(turn)
}

/** Tokens the turn costs, thinking included. An empty turn costs nothing. */
export function outputTokensOf({ content, thoughtBytes, tokensMax }: TurnContent): number {
  let bytes = thoughtBytes
  for (const block of content) bytes += blockBytes(block)
  return Math.min(tokensOf(bytes), tokensMax ?? Number.POSITIVE_INFINITY)
}

function blockBytes(block: ContentBlock): number {
  if (block.type === 'text') return Buffer.byteLength(block.text)
  if (block.type !== 'tool_use') return 0
  return Buffer.byteLength(block.name) + Buffer.byteLength(inputText(block.input))
}

/** Half of the last block: half a text, or a call whose input never came. */
function cutOff(turn: TurnContent): TurnContent {
  const last = turn.content.at(-1)
  const kept = turn.content.slice(0, -1)
  if (last?.type === 'text') {
    kept.push({ ...last, text: last.text.slice(0, Math.ceil(last.text.length / 2)) })
  } else if (last?.type === 'tool_use') {
    kept.push({ ...last, input: {} })
  }
  return { ...turn, content: kept, stopReason: 'max_tokens' }
}
