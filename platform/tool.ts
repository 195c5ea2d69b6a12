/**
 * Tools: what a caller or a model can invoke. A contract says name, schema, scope and version and
 * is all that others may import; `implement` puts a handler behind it.
 */
import { z } from 'zod'
import type { Needs } from './authority.ts'

/** Truthful hints for callers (MCP tool annotations). */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean
  readonly destructiveHint: boolean
  readonly idempotentHint: boolean
  readonly openWorldHint: boolean
}

export interface ToolContract<
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodObject = z.ZodObject,
> extends Needs {
  readonly name: string
  /** What it does, when to use it, when not, what repeating does. */
  readonly description: string
  /** Whole numbers; raised when callers must change. An order that it is bound to is `orderId`. */
  readonly version: number
  /** Callers of versions from here on still work, with a warning. Default: the present one only. */
  readonly oldestVersion?: number
  /** Text arguments that logs may show as they are; all others are hidden. */
  readonly plain?: readonly string[]
  readonly annotations: ToolAnnotations
  readonly input: I
  readonly output: O
}

/** Reads only, touches nothing outside. */
export const readsOnly: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
}
/** Writes; repeating changes nothing. */
export const writesOnce: ToolAnnotations = { ...readsOnly, readOnlyHint: false }

/** Declares a tool. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(
  contract: ToolContract<I, O>,
): ToolContract<I, O> {
  return Object.freeze(contract)
}

/** Who calls, for which order, and how long the answer is wanted. */
export interface CallContext {
  readonly signal: AbortSignal
  readonly traceId: string
  readonly clientId: string
  readonly scopes: readonly string[]
  /** Tells a caller who waits how far it is; absent when nobody listens. */
  readonly progress?: (done: number, total: number, message: string) => Promise<void>
}

export interface Tool {
  readonly contract: ToolContract
  readonly handle: (input: Record<string, unknown>, context: CallContext) => Promise<object>
}

/**
 * Puts a handler behind a contract. The server checks token, scope, `bound` and input schema before
 * the handler runs and the output schema after it; the handler does neither and catches nothing.
 */
export function implement<I extends z.ZodObject, O extends z.ZodObject>(
  contract: ToolContract<I, O>,
  handle: (input: z.output<I>, context: CallContext) => Promise<z.input<O>>,
): Tool {
  return {
    contract: contract as unknown as ToolContract,
    handle: handle as unknown as Tool['handle'],
  }
}

const reasonsMax = 8
const reasonCharactersMax = 300
const tokens = z.int().min(0)

/** What one agent run used, as tools report it: model, turns, tokens, cost in nano-USD. */
export const agentRecord = z.object({
  model: z.string(),
  /** Models above it that could not answer, and why; absent when the first one did. */
  fallbackFrom: z
    .array(z.object({ model: z.string(), code: z.string() }))
    .readonly()
    .optional(),
  mode: z.enum(['standin', 'live']),
  turns: z.int().min(0),
  stopReason: z.string(),
  repaired: z.boolean(),
  toolCalls: z
    .array(z.object({ name: z.string(), ok: z.boolean(), evidence: z.string().optional() }))
    .readonly(),
  usage: z.object({
    inputTokens: tokens,
    outputTokens: tokens,
    cacheReadTokens: tokens,
    cacheWrite5mTokens: tokens,
    cacheWrite1hTokens: tokens,
  }),
  costNanoUsd: z.int().min(0),
  durationMs: z.int().min(0),
})

/** Who gave a judgement. With `rules`, `agentFailure` says why no agent did. */
export const judgedBy = z.enum(['agent', 'rules'])
export const agentFailure = z.object({ code: z.string(), message: z.string() })
/** An agent's reasons: words for people; nothing is decided by them. */
export const reasons = z.array(z.string().max(reasonCharactersMax)).max(reasonsMax)

/** What breaks a line, a log or a database, and what makes a text read otherwise than it is. */
const unprintable = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu

/** A text as one line that a log, a database and a terminal can take. */
export const printable = (text: string): string => text.replaceAll(unprintable, ' ').toWellFormed()

/** Makes words of a model fit `reasons`: one line each, clipped, none empty, valid Unicode. */
export function clipReasons(words: readonly string[]): string[] {
  return words
    .map((word) => word.replaceAll(unprintable, ' ').trim())
    .filter((word) => word !== '')
    .slice(0, reasonsMax)
    .map((word) => word.slice(0, reasonCharactersMax).toWellFormed())
}
