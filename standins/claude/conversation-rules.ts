/**
 * Rules about the conversation: who may say what, and that every tool call has exactly one result.
 *
 * Thinking blocks have rules of their own, in thinking-rules.ts.
 */

import { invalidRequest } from './api-error.ts'
import type { MessageIn } from './request-shape.ts'
import type { PlacedBlock, Turn } from './turns.ts'
import { pathOf } from './turns.ts'

const assistantOnly = new Set(['tool_use', 'thinking', 'redacted_thinking'])
/** Under anthropic-version 2026-10-21; older versions let documents pass in assistant turns. */
const userOnly = new Set(['tool_result', 'document', 'image'])

/** Refuses (400) a conversation the API would refuse. `messages` is what `turns` was made of. */
export function checkConversation(messages: readonly MessageIn[], turns: readonly Turn[]): void {
  if (messages[0]?.role !== 'user') {
    throw invalidRequest('messages: first message must use the "user" role')
  }
  if (messages.at(-1)?.role === 'assistant') {
    throw invalidRequest(
      'This model does not support assistant message prefill. The conversation must end with a user message.',
    )
  }
  for (const turn of turns) {
    if (turn.blocks.length === 0) throw invalidRequest('messages: content must not be empty')
    for (const placed of turn.blocks) checkBlock(turn.role, placed)
  }
  const seen = new Set<string>()
  for (const [i, turn] of turns.entries()) {
    if (turn.role === 'assistant') checkCalls(turn, turns[i + 1], seen)
    else checkResults(turn, turns[i - 1])
  }
}

function checkBlock(role: 'user' | 'assistant', placed: PlacedBlock): void {
  const { block } = placed
  const wrongRole = role === 'user' ? assistantOnly : userOnly
  if (wrongRole.has(block.type)) {
    const other = role === 'user' ? 'assistant' : 'user'
    throw invalidRequest(
      `${pathOf(placed)}: \`${block.type}\` blocks can only be in \`${other}\` messages`,
    )
  }
  if (block.type === 'text' && block.text === '') {
    throw invalidRequest(`${pathOf(placed)}: text content blocks must be non-empty`)
  }
}

function checkCalls(turn: Turn, next: Turn | undefined, seen: Set<string>): void {
  const answered = new Set<string>()
  for (const { block } of next?.blocks ?? []) {
    if (block.type === 'tool_result') answered.add(block.tool_use_id)
  }
  for (const placed of turn.blocks) {
    if (placed.block.type !== 'tool_use') continue
    const { id } = placed.block
    if (seen.has(id)) throw invalidRequest(`${pathOf(placed)}: \`tool_use\` ids must be unique`)
    seen.add(id)
    if (answered.has(id)) continue
    throw invalidRequest(
      `messages.${placed.message}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${id}. ` +
        'Each `tool_use` block must have a corresponding `tool_result` block in the next message.',
    )
  }
}

function checkResults(turn: Turn, previous: Turn | undefined): void {
  const called = new Set<string>()
  for (const { block } of previous?.blocks ?? []) {
    if (block.type === 'tool_use') called.add(block.id)
  }
  let other: string | undefined
  for (const placed of turn.blocks) {
    const { block } = placed
    if (block.type !== 'tool_result') {
      other = block.type
      continue
    }
    // Removing what was answered catches a second result for the same call.
    if (!called.delete(block.tool_use_id)) {
      throw invalidRequest(
        `${pathOf(placed)}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.tool_use_id}. ` +
          'Each `tool_result` block must have one corresponding `tool_use` block in the previous message.',
      )
    }
    if (other !== undefined) {
      throw invalidRequest(
        `${pathOf(placed)}: \`tool_result\` blocks must come before \`${other}\` blocks`,
      )
    }
  }
}
