/** Messages as turns: neighbours of one role are one turn, whichever way the client cut them. */

import type { ContentBlockIn, MessageIn } from './request-shape.ts'

export type PlacedBlock = {
  readonly block: ContentBlockIn
  readonly message: number
  readonly index: number
}
export type Turn = { readonly role: 'user' | 'assistant'; readonly blocks: readonly PlacedBlock[] }

/**
 * The conversation as alternating turns. `system` messages inside it carry no answers and do not
 * separate turns, so they are left out here.
 */
export function turnsOf(messages: readonly MessageIn[]): readonly Turn[] {
  const turns: { role: 'user' | 'assistant'; blocks: PlacedBlock[] }[] = []
  for (const [message, { role, content }] of messages.entries()) {
    if (role === 'system') continue
    let turn = turns.at(-1)
    if (turn?.role !== role) {
      turn = { role, blocks: [] }
      turns.push(turn)
    }
    for (const [index, block] of blocksOf(content).entries()) {
      turn.blocks.push({ block, message, index })
    }
  }
  return turns
}

/** A string is shorthand for one text block. */
export function blocksOf(content: MessageIn['content']): readonly ContentBlockIn[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

/** Where a block stands, in the vendor's notation. */
export function pathOf({ message, index }: PlacedBlock): string {
  return `messages.${message}.content.${index}`
}
