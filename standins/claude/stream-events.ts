/** A message as the server-sent events the Messages API streams it in. */

import type {
  ContentBlock,
  Message,
  RawContentBlockDelta,
  RawMessageStreamEvent,
} from '@anthropic-ai/sdk/resources/messages'
import { inputText } from './raw-input.ts'

const deltaChars = 160

/** A stream in two parts, so that a latency or a fault can fall between them. */
export type StreamText = { readonly opening: string; readonly closing: string }

/**
 * The whole stream as text: `opening` is message_start, ping and the content blocks; `closing` is
 * message_delta (stop reason, usage) and message_stop.
 */
export function streamText(message: Message): StreamText {
  const { usage } = message
  const start: Message = {
    ...message,
    content: [],
    stop_reason: null,
    stop_details: null,
    usage: { ...usage, output_tokens: message.content.length === 0 ? 0 : 1 },
  }
  let opening = eventText({ type: 'message_start', message: start })
  opening += 'event: ping\ndata: {"type":"ping"}\n\n'
  for (const [index, block] of message.content.entries()) {
    opening += eventText({ type: 'content_block_start', index, content_block: emptied(block) })
    for (const delta of deltasOf(block)) {
      opening += eventText({ type: 'content_block_delta', index, delta })
    }
    opening += eventText({ type: 'content_block_stop', index })
  }
  const closing =
    eventText({
      type: 'message_delta',
      delta: {
        container: null,
        stop_reason: message.stop_reason,
        stop_sequence: null,
        stop_details: message.stop_details,
      },
      usage: {
        input_tokens: usage.input_tokens,
        cache_creation_input_tokens: usage.cache_creation_input_tokens,
        cache_read_input_tokens: usage.cache_read_input_tokens,
        output_tokens: usage.output_tokens,
        output_tokens_details: usage.output_tokens_details,
        server_tool_use: null,
      },
    }) + eventText({ type: 'message_stop' })
  return { opening, closing }
}

/** A mid-stream `error` event; the HTTP status was already 200 by then. */
export function errorEventText(body: unknown): string {
  return `event: error\ndata: ${JSON.stringify(body)}\n\n`
}

function eventText(event: RawMessageStreamEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

function emptied(block: ContentBlock): ContentBlock {
  if (block.type === 'text') return { ...block, text: '' }
  if (block.type === 'thinking') return { ...block, thinking: '', signature: '' }
  return block.type === 'tool_use' ? { ...block, input: {} } : block
}

function deltasOf(block: ContentBlock): RawContentBlockDelta[] {
  if (block.type === 'text') {
    return chunksOf(block.text).map((text) => ({ type: 'text_delta', text }))
  }
  if (block.type === 'thinking') {
    const told = chunksOf(block.thinking).map(
      (thinking) => ({ type: 'thinking_delta', thinking }) as const,
    )
    return [...told, { type: 'signature_delta', signature: block.signature }]
  }
  if (block.type !== 'tool_use') return []
  // The API opens every input with an empty piece; an input without fields is `{}` all the same.
  const pieces = ['', ...chunksOf(inputText(block.input))]
  return pieces.map((partial_json) => ({ type: 'input_json_delta', partial_json }))
}

function chunksOf(text: string): string[] {
  const chunks: string[] = []
  for (let at = 0; at < text.length; at += deltaChars) chunks.push(text.slice(at, at + deltaChars))
  return chunks
}
