/** The assistant message as the SDK types it. `satisfies` is the lock on its shape. */

import type { Message, Usage } from '@anthropic-ai/sdk/resources/messages'
import type { CacheUse } from './prompt-cache.ts'
import { tokensOf } from './prompt-prefix.ts'
import { outputTokensOf } from './spoil.ts'
import type { TurnContent } from './turn-content.ts'

/** Builds the message with its usage. `promptTokens` is the whole prompt, cached or not. */
export function buildMessage(
  id: string,
  model: string,
  turn: TurnContent,
  promptTokens: number,
  cache: CacheUse,
): Message {
  const refused = turn.stopReason === 'refusal'
  return {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [...turn.content],
    stop_reason: turn.stopReason,
    stop_sequence: null,
    stop_details: refused
      ? { type: 'refusal', category: null, explanation: 'A scripted refusal of the stand-in.' }
      : null,
    container: null,
    diagnostics: null,
    usage: usageOf(turn, promptTokens, cache),
  } satisfies Message
}

function usageOf(turn: TurnContent, promptTokens: number, cache: CacheUse): Usage {
  const written = cache.writtenTokens5m + cache.writtenTokens1h
  return {
    input_tokens: promptTokens - cache.readTokens - written,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: cache.readTokens,
    cache_creation: {
      ephemeral_5m_input_tokens: cache.writtenTokens5m,
      ephemeral_1h_input_tokens: cache.writtenTokens1h,
    },
    output_tokens: outputTokensOf(turn),
    output_tokens_details: { thinking_tokens: tokensOf(turn.thoughtBytes) },
    server_tool_use: null,
    service_tier: 'standard',
    inference_geo: 'offline',
    speed: 'standard',
  } satisfies Usage
}
