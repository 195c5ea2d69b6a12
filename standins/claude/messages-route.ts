/**
 * `POST /v1/messages` and `/count_tokens`: judge the request, let a policy move, send the message.
 *
 *     shape ─▶ rules, prefix, signatures ─▶ rate limit ─▶ policy ─▶ fault ─▶ delivery
 */

import { hash } from 'node:crypto'
import type { Message } from '@anthropic-ai/sdk/resources/messages'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError, errorBody, errorTypeOf } from './api-error.ts'
import { choosePolicy } from './choose-policy.ts'
import type { Fault } from './faults.ts'
import type { JournalEntry } from './journal.ts'
import { redactedBody } from './journal.ts'
import type { Judged } from './judge-request.ts'
import { judgeRequest } from './judge-request.ts'
import type { CacheScope, CacheUse } from './prompt-cache.ts'
import { buildMessage } from './reply.ts'
import { checkOutput, refuseThreads } from './request-rules.ts'
import type { MessagesRequest } from './request-shape.ts'
import { parseCountRequest, parseMessagesRequest } from './request-shape.ts'
import { limitContent, spoilContent } from './spoil.ts'
import type { Standin } from './standin.ts'
import type { TurnContent } from './turn-content.ts'
import { contentOf, rawContent } from './turn-content.ts'
import type { Turn } from './turns.ts'
import { clientTools, viewOf } from './view.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Open for requests to the Messages API only. */
    journalEntry: JournalEntry | null
  }
}

/** Adds both routes. Every request to them is journalled, refused ones too. */
export function addMessagesRoutes(app: FastifyInstance, standin: Standin): void {
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    const { id, url, headers } = request
    request.journalEntry = standin.journal.open(id, url, headers, reply.raw)
  }

  app.post('/v1/messages', { onRequest }, async (request, reply) => {
    noteBody(request)
    refuseThreads(request.body)
    const wanted = parseMessagesRequest(request.body)
    const judged = judgeRequest(wanted, standin.seal, isBeta(request))
    checkOutput(wanted, judged.model)
    standin.limiter.admit(judged.model.id)
    await answer(standin, request, reply, wanted, judged)
    return reply
  })

  app.post('/v1/messages/count_tokens', { onRequest }, async (request) => {
    noteBody(request)
    const wanted = parseCountRequest(request.body)
    const { prefix } = judgeRequest(wanted, standin.seal, isBeta(request))
    return { input_tokens: prefix.tokens }
  })
}

async function answer(
  standin: Standin,
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: MessagesRequest,
  judged: Judged,
): Promise<void> {
  const { model, prefix } = judged
  const id = standin.ids.message()
  const { content, fault, trouble } = think(standin, request.journalEntry, id, wanted, judged)
  if (fault?.kind === 'status') throw scriptedError(fault)

  const cache = standin.cache.use(prefix, scopeOf(wanted, request))
  const message = buildMessage(id, model.id, content, prefix.tokens, cache)
  spend(standin, message, cache)
  if (request.journalEntry !== null) {
    request.journalEntry.stopReason = message.stop_reason
    request.journalEntry.usage = message.usage
  }

  const headers = { ...reply.getHeaders(), ...standin.limiter.headers(model.id) }
  reply.hijack()
  const end = await standin.courier.deliver(reply.raw, {
    message,
    stream: wanted.stream === true,
    headers: headers as Record<string, string>, // ours are all strings
    latencyMs: standin.latencyMs[model.line],
    fault: trouble,
    streamError: errorBody(new ApiError('overloaded_error', 'Overloaded (scripted)'), request.id),
    onStart: cache.commit,
  })
  if (end === 'cut' && request.journalEntry !== null) request.journalEntry.outcome = 'cut'
}

/** One move of the policy, or an act of the persona, as content, with whatever strikes it. */
function think(
  standin: Standin,
  entry: JournalEntry | null,
  messageId: string,
  wanted: MessagesRequest,
  { model, turns, prefix }: Judged,
): {
  readonly content: TurnContent
  readonly fault: Fault | null
  /** Of a fault or, without one, of a persona. */
  readonly trouble: Fault['kind'] | undefined
} {
  const policy = choosePolicy(standin.policies, wanted)
  const turn = 1 + turns.filter(({ role }) => role === 'assistant').length
  const view = viewOf(wanted, turns)
  const conversation = {
    policy: policy.name,
    model: model.id,
    opening: openingOf(turns),
    turn,
  }
  const player = standin.cast.playerOf(conversation)
  const honest = policy.move(view)
  const act = player?.act(standin.cast.sceneOf(conversation, { view, honest }))
  const sign = (thinking: string) => standin.seal.sign(messageId, prefix.hash, thinking)
  const healthy =
    act?.kind === 'raw'
      ? rawContent(act.blocks, act.stopReason, standin.ids, wanted.max_tokens)
      : contentOf(act?.move ?? honest, wanted, standin.ids, sign)
  const fault = standin.faults.take({
    model: model.id,
    line: model.line,
    tools: clientTools(wanted),
    turn,
    final: healthy.stopReason === 'end_turn',
    stream: wanted.stream === true,
  })
  const trouble = fault?.kind ?? act?.trouble
  if (entry !== null) {
    entry.model = model.id
    entry.policy = policy.name
    entry.turn = turn
    entry.persona = player?.name ?? null
    entry.fault = trouble ?? null
  }
  const spoiled = spoilContent(healthy, trouble)
  const content = act?.kind === 'raw' ? spoiled : limitContent(spoiled, wanted.max_tokens)
  return { content, fault, trouble }
}

/** What the first turn says; a conversation is known by it. */
function openingOf(turns: readonly Turn[]): string {
  const blocks = turns[0]?.blocks ?? []
  return blocks.map(({ block }) => (block.type === 'text' ? block.text : '')).join('\n')
}

function scriptedError({ status = 500, retryAfterSeconds }: Fault): ApiError {
  const seconds = retryAfterSeconds ?? (status === 429 ? 1 : undefined)
  const headers = seconds === undefined ? {} : { 'retry-after': String(seconds) }
  const message = `Scripted fault of the stand-in: ${status}`
  return new ApiError(errorTypeOf(status), message, { status, headers })
}

/** Cache reads do not count against the rate limit. */
function spend({ limiter }: Standin, { model, usage }: Message, cache: CacheUse): void {
  const written = cache.writtenTokens5m + cache.writtenTokens1h
  limiter.spend(model, usage.input_tokens + written, usage.output_tokens)
}

/** Organisations do not share caches, so the key takes part, as a hash that is never shown. */
function scopeOf(wanted: MessagesRequest, { headers }: FastifyRequest): CacheScope {
  const caller = headers.authorization ?? headers['x-api-key']
  const format = JSON.stringify(wanted.output_config?.format ?? null)
  const base = hash('sha1', `${caller}\n${wanted.model}\n${format}`, 'base64url')
  const { tool_choice: choice, thinking } = wanted
  return { base, messages: `${base}${choice?.type ?? 'auto'}${thinking?.type ?? 'adaptive'}` }
}

function isBeta({ query }: FastifyRequest): boolean {
  return typeof query === 'object' && query !== null && 'beta' in query && query.beta === 'true'
}

function noteBody({ journalEntry, body, headers }: FastifyRequest): void {
  if (journalEntry !== null) journalEntry.request = redactedBody(body, headers['content-length'])
}
