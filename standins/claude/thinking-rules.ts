/**
 * Signatures of thinking blocks.
 *
 * A signature binds the block's text to everything before it (tools, system, earlier messages), so
 * that an edited block and an edited history are both refused: conversations are append-only.
 * It is a mark against accidents, not a secret: the default key is in the source, so that a
 * restarted stand-in still accepts its own blocks.
 */

import { createHmac } from 'node:crypto'
import { invalidRequest } from './api-error.ts'
import type { PromptPrefix } from './prompt-prefix.ts'
import type { Turn } from './turns.ts'
import { pathOf } from './turns.ts'

export type ThinkingSeal = {
  /** The signature of a block with this text, said by this message after this prompt. */
  readonly sign: (messageId: string, promptHash: string, thinking: string) => string
  /** Refuses (400) blocks we did not sign, or signed for another conversation. */
  readonly check: (turns: readonly Turn[], prefix: PromptPrefix) => void
}

/** Signs and verifies with one key. Servers that share the key accept each other's blocks. */
export function createThinkingSeal(key: string): ThinkingSeal {
  const sign = (messageId: string, promptHash: string, thinking: string) => {
    const mac = createHmac('sha256', key).update(`${messageId}\n${promptHash}\n${thinking}`)
    return `${messageId}.${promptHash}.${mac.digest('base64url')}`
  }

  const check = (turns: readonly Turn[], prefix: PromptPrefix) => {
    for (const { blocks } of turns) {
      for (const placed of blocks) {
        const { block } = placed
        if (block.type === 'redacted_thinking') {
          throw invalidRequest(`${pathOf(placed)}: Invalid \`data\` in \`redacted_thinking\` block`)
        }
        if (block.type !== 'thinking') continue
        const [messageId = '', promptHash = ''] = block.signature.split('.')
        if (sign(messageId, promptHash, block.thinking) !== block.signature) {
          throw invalidRequest(`${pathOf(placed)}: Invalid \`signature\` in \`thinking\` block`)
        }
        if (promptHash !== prefix.hashBefore[placed.message]) {
          throw invalidRequest(
            `${pathOf(placed)}: tools, system or an earlier message changed since this \`thinking\` block was written; conversations are append-only`,
          )
        }
      }
    }
  }
  return { sign, check }
}
