/** Everything that can be wrong with a request, asked in the order that gives the clearest answer. */

import { ApiError } from './api-error.ts'
import { checkConversation } from './conversation-rules.ts'
import type { StandinModel } from './models.ts'
import { findModel } from './models.ts'
import type { PromptPrefix } from './prompt-prefix.ts'
import { readPrefix } from './prompt-prefix.ts'
import { checkRequest } from './request-rules.ts'
import type { CountRequest } from './request-shape.ts'
import type { ThinkingSeal } from './thinking-rules.ts'
import type { Turn } from './turns.ts'
import { turnsOf } from './turns.ts'

export type Judged = {
  readonly model: StandinModel
  readonly turns: readonly Turn[]
  readonly prefix: PromptPrefix
}

/** What a well-formed request is about. Throws 404 for an unknown model and 400 for a broken rule. */
export function judgeRequest(wanted: CountRequest, seal: ThinkingSeal, beta: boolean): Judged {
  const model = findModel(wanted.model)
  if (model === undefined) throw new ApiError('not_found_error', `model: ${wanted.model}`)
  checkRequest(wanted, model, beta)
  const turns = turnsOf(wanted.messages)
  checkConversation(wanted.messages, turns)
  const prefix = readPrefix(wanted)
  seal.check(turns, prefix)
  return { model, turns, prefix }
}
