/**
 * Claude behind one function: one turn in, one reply out, with its usage and exact cost. Live mode
 * and the stand-in run the same code; only the base URL and the key differ.
 */
import Anthropic from '@anthropic-ai/sdk'
import { transformJSONSchema } from '@anthropic-ai/sdk/lib/transform-json-schema'
import { z } from 'zod'
import { AppError, denied, internal, invalid, rejected, unavailable } from './errors.ts'
import type { Metrics } from './metrics.ts'
import { ModelRateLimits } from './model-rate-limits.ts'
import { assertPriced, costNanoUsd, type Prices, type Usage } from './prices.ts'
import { type BreakerVerdict, CircuitBreaker } from './resilience.ts'
import { attribute, operation } from './trace-attributes.ts'
import { type Attributes, inSpan } from './tracing.ts'

export type ModelMode = 'standin' | 'live'
export type Effort = 'low' | 'medium' | 'high'
/** Content blocks pass through unread where possible: thinking must go back unchanged. */
export type Block = Readonly<{ type: string } & Record<string, unknown>>
export type Message = Readonly<{ role: 'user' | 'assistant'; content: readonly Block[] }>
export type JsonSchema = Readonly<Record<string, unknown>>

export interface OfferedTool {
  readonly name: string
  readonly description: string
  readonly inputSchema: JsonSchema
}

export interface TurnRequest {
  readonly model: string
  readonly effort: Effort
  readonly outputTokensMax: number
  readonly system: string
  readonly tools: readonly OfferedTool[]
  readonly messages: readonly Message[]
  readonly verdictSchema: JsonSchema
}

export interface TurnReply {
  readonly content: readonly Block[]
  /** One of the API's, `none`, `unknown`, or `unusable`: then the content is left out. */
  readonly stopReason: string
  readonly usage: Usage
  readonly costNanoUsd: number
}

export interface Model {
  readonly mode: ModelMode
  /**
   * @throws unavailable for overload, rate limit, connection and deadline: a retry may help.
   * @throws invalid or denied when Claude refuses the request itself, rejected `model_spend_limit`
   * when the budget at Anthropic is used up: it will not.
   */
  turn(request: TurnRequest, signal: AbortSignal): Promise<TurnReply>
}

const breakerFailuresMax = 8
const breakerOpenMs = 5_000
/** The SDK's own limit until headers; the caller's signal is the deadline that holds. */
const headersTimeoutMs = 60_000

/** A JSON schema in the subset that structured output and strict tools accept. */
export function toModelSchema(schema: z.ZodType): JsonSchema {
  return transformJSONSchema(z.toJSONSchema(schema) as never) as unknown as JsonSchema
}

export interface ClaudeConfig {
  readonly CLAUDE_MODE: ModelMode
  /** The stand-in; in live mode a gateway, and Anthropic when absent. */
  readonly CLAUDE_URL?: string | undefined
  readonly ANTHROPIC_API_KEY?: string | undefined
}

/**
 * @throws Error when the mode's own setting is missing. `live` never falls back to the stand-in, nor
 * the reverse; the stand-in gets a dummy key, so a real one in the environment never leaves. What the
 * SDK would read from ANTHROPIC_* variables by itself is overruled: address, key, headers, logging.
 */
export function createModel(config: ClaudeConfig, prices: Prices, metrics: Metrics): Model {
  const mode = config.CLAUDE_MODE
  const client = createClient(config)
  const breakers = new Map<string, CircuitBreaker>()
  const rateLimits = new ModelRateLimits()
  const models = Object.keys(prices.models)
  metrics.expectModels(models, mode)
  for (const model of models) breakerOf(breakers, model, metrics)

  return {
    mode,
    turn: (request, signal) =>
      inSpan(
        `chat ${request.model}`,
        askedOf(request, mode),
        async (span) => {
          span?.content(() => promptOf(request))
          const breaker = breakerOf(breakers, request.model, metrics)
          const reply = await breaker.run(() => once(request, signal))
          span?.set(answeredOf(reply))
          span?.content(() => ({ [attribute.genAiOutput]: JSON.stringify(reply.content) }))
          return reply
        },
        { kind: 'client' },
      ),
  }

  async function once(request: TurnRequest, signal: AbortSignal): Promise<TurnReply> {
    const { model } = request
    assertPriced(prices, model)
    const startedAt = performance.now()
    const seconds = () => (performance.now() - startedAt) / 1_000
    try {
      await rateLimits.admit(model, signal)
      const stream = client.messages.stream(toParams(request), { signal })
      stream.once('streamEvent', () => metrics.claudeFirstToken.observe({ model, mode }, seconds()))
      const message = await stream.finalMessage()
      if (stream.response) rateLimits.note(model, stream.response.headers)
      const usage = readUsage(message.usage)
      recordUsage(metrics, model, mode, usage)
      const cost = costNanoUsd(prices, model, usage)
      metrics.claudeCost.add({ model, mode }, cost)
      const isUsable = isSendable(message.content, request.outputTokensMax)
      const stopReason = isUsable ? stopReasonOf(message.stop_reason) : 'unusable'
      metrics.claudeRequests.inc({ model, outcome: stopReason, mode })
      return {
        content: isUsable ? (message.content as unknown as Block[]) : [],
        stopReason,
        usage,
        costNanoUsd: cost,
      }
    } catch (cause) {
      if (cause instanceof Anthropic.APIError && cause.headers)
        rateLimits.note(model, cause.headers)
      const error = translate(cause, signal)
      metrics.claudeRequests.inc({ model, outcome: error.code, mode })
      throw error
    } finally {
      metrics.claudeDuration.observe({ model, mode }, seconds())
    }
  }
}

const askedOf = (request: TurnRequest, mode: ModelMode): Attributes => ({
  [attribute.genAiOperation]: operation.chat,
  [attribute.genAiProvider]: 'anthropic',
  [attribute.genAiRequestModel]: request.model,
  [attribute.genAiRequestTokensMax]: request.outputTokensMax,
  [attribute.claudeMode]: mode,
})

const promptOf = ({ system, messages }: TurnRequest): Attributes => ({
  [attribute.genAiSystem]: system,
  [attribute.genAiInput]: JSON.stringify(messages),
})

const answeredOf = ({ stopReason, usage, costNanoUsd: cost }: TurnReply): Attributes => {
  const written = usage.cacheWrite5mTokens + usage.cacheWrite1hTokens
  return {
    [attribute.genAiFinishReasons]: [stopReason],
    [attribute.genAiInputTokens]: usage.inputTokens + usage.cacheReadTokens + written,
    [attribute.genAiOutputTokens]: usage.outputTokens,
    [attribute.genAiCacheReadTokens]: usage.cacheReadTokens,
    [attribute.genAiCacheWriteTokens]: written,
    [attribute.costNanoUsd]: cost,
  }
}

const stopReasons: ReadonlySet<string> = new Set([
  'end_turn',
  'max_tokens',
  'stop_sequence',
  'tool_use',
  'pause_turn',
  'refusal',
  'model_context_window_exceeded',
])

/** A reason labels metrics and is stored: one that we do not know is not passed on in its words. */
const stopReasonOf = (reason: string | null): string =>
  reason === null ? 'none' : stopReasons.has(reason) ? reason : 'unknown'

/** Generous: JSON of a token that is a single odd character. */
const charactersPerTokenMax = 16

/** No tool's input comes near it; much more, and whoever copies or records it runs out of stack. */
const nestedLevelsMax = 64

/** An answer goes back with the next turn and may be recorded: as JSON, and not beyond all limits. */
function isSendable(content: unknown, outputTokensMax: number): boolean {
  if (!isNestedWithin(nestedLevelsMax, content)) return false
  return JSON.stringify(content).length <= outputTokensMax * charactersPerTokenMax
}

function isNestedWithin(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((part) => isNestedWithin(levels - 1, part))
}

const liveUrl = 'https://api.anthropic.com'
const standinHeader = 'x-claude-stand-in'
/** What the SDK sends of itself; any other header came from ANTHROPIC_CUSTOM_HEADERS. */
const ownHeaders =
  /^(accept|authorization|content-type|user-agent|anthropic-version|x-stainless-.+)$/

function createClient(config: ClaudeConfig): Anthropic {
  const { apiKey, baseURL } = connection(config)
  return new Anthropic({
    apiKey,
    baseURL,
    maxRetries: 0,
    timeout: headersTimeoutMs,
    logLevel: 'off',
    middleware: [
      async (request, next) => {
        const headers = new Headers(request.headers)
        for (const name of [...headers.keys()]) if (!ownHeaders.test(name)) headers.delete(name)
        headers.set('authorization', `Bearer ${apiKey}`)
        const response = await next({ ...request, headers })
        if (config.CLAUDE_MODE === 'live') await refuseStandin(response)
        return response
      },
    ],
  })
}

/** Live answers must be real ones: a CLAUDE_URL left over from a trial would go unnoticed. */
async function refuseStandin(response: Response): Promise<void> {
  if (!response.headers.has(standinHeader)) return
  await response.body?.cancel()
  throw denied('model_is_standin', 'A stand-in answered, but CLAUDE_MODE is live', {
    next: 'Check CLAUDE_URL: it must be a gateway to the real Claude, or not be set.',
  })
}

function connection(config: ClaudeConfig): { apiKey: string; baseURL: string } {
  if (config.CLAUDE_MODE === 'live') {
    const apiKey = config.ANTHROPIC_API_KEY
    if (apiKey === undefined) throw new Error('CLAUDE_MODE=live needs ANTHROPIC_API_KEY')
    return { apiKey, baseURL: config.CLAUDE_URL ?? liveUrl }
  }
  const baseURL = config.CLAUDE_URL
  if (baseURL === undefined) throw new Error('CLAUDE_MODE=standin needs CLAUDE_URL')
  return { apiKey: 'offline-standin', baseURL }
}

function breakerOf(breakers: Map<string, CircuitBreaker>, model: string, metrics: Metrics) {
  const existing = breakers.get(model)
  if (existing !== undefined) return existing
  const created = new CircuitBreaker(`Claude (${model})`, {
    failuresMax: breakerFailuresMax,
    openMs: breakerOpenMs,
    verdictOf: whatItSays,
    onChange: metrics.onBreakerChange(model),
  })
  breakers.set(model, created)
  return created
}

/**
 * A 429 shows that Claude is there: resting on it would keep back what the limit still allows. A
 * caller that left shows nothing.
 */
function whatItSays({ kind, code }: AppError): BreakerVerdict {
  if (code === 'call_abandoned') return 'nothing'
  return kind === 'unavailable' && code !== 'model_rate_limited' ? 'failure' : 'success'
}

/**
 * Everything before the messages is byte-identical from run to run, with one cache breakpoint at
 * its end; the top-level one moves with the growing conversation.
 */
function toParams(request: TurnRequest): Anthropic.MessageStreamParams {
  return {
    model: request.model,
    max_tokens: request.outputTokensMax,
    system: [{ type: 'text', text: request.system, cache_control: { type: 'ephemeral' } }],
    tools: request.tools.map(({ name, description, inputSchema }) => ({
      name,
      description,
      input_schema: inputSchema as Anthropic.Tool.InputSchema,
      strict: true,
    })),
    messages: request.messages as unknown as Anthropic.MessageParam[],
    output_config: {
      effort: request.effort,
      format: { type: 'json_schema', schema: request.verdictSchema as Record<string, unknown> },
    },
    cache_control: { type: 'ephemeral' },
    service_tier: 'standard_only',
  }
}

function readUsage(usage: Anthropic.Usage): Usage {
  const written = usage.cache_creation_input_tokens ?? 0
  const oneHour = usage.cache_creation?.ephemeral_1h_input_tokens ?? 0
  return {
    inputTokens: usage.input_tokens,
    outputTokens: usage.output_tokens,
    cacheReadTokens: usage.cache_read_input_tokens ?? 0,
    cacheWrite5mTokens: written - oneHour,
    cacheWrite1hTokens: oneHour,
  }
}

function recordUsage(metrics: Metrics, model: string, mode: ModelMode, usage: Usage): void {
  const count = (kind: string, tokens: number) =>
    metrics.claudeTokens.inc({ model, kind, mode }, tokens)
  count('input', usage.inputTokens)
  count('output', usage.outputTokens)
  count('cache_read', usage.cacheReadTokens)
  count('cache_write', usage.cacheWrite5mTokens + usage.cacheWrite1hTokens)
}

const passing = new Set([408, 409, 429])
/** A 429 that waiting does not help within the life of an order: it has no `retry-after`. */
const spendLimitCode = 'enforced_spend_limit_reached'

/** `retry-after` may also be a date, which is not worth reading: the backoff decides then. */
function secondsOf(retryAfter: string | null | undefined): number {
  const seconds = Number(retryAfter ?? 0)
  return Number.isFinite(seconds) && seconds > 0 ? seconds : 0
}

function translate(cause: unknown, signal: AbortSignal): AppError {
  // The SDK wraps what its middleware throws.
  const wrapped = (cause as { cause?: unknown }).cause
  if (wrapped instanceof AppError) return wrapped
  if (cause instanceof AppError) return cause
  if (signal.aborted && (signal.reason as Error | undefined)?.name !== 'TimeoutError') {
    return invalid('call_abandoned', 'The caller no longer waits for an answer', { cause })
  }
  if (signal.aborted) {
    return unavailable('model_deadline', 'Claude did not finish in time', { cause })
  }
  if (cause instanceof Anthropic.APIConnectionError) {
    return unavailable('model_unreachable', 'Claude cannot be reached', { cause })
  }
  if (!(cause instanceof Anthropic.APIError)) {
    // The SDK throws a plain AnthropicError for a stream that ends or breaks in the middle.
    if (cause instanceof Anthropic.AnthropicError) {
      return unavailable('model_stream_broken', 'The answer of Claude broke off', { cause })
    }
    return internal('model_client', 'The model client failed', { cause })
  }
  if (cause.errorCode === spendLimitCode) {
    return rejected('model_spend_limit', 'The spend limit at Anthropic is reached', {
      next: 'Raise the limit in the Claude Console; until then rules decide.',
      cause,
    })
  }
  const status = cause.status as number | undefined
  if (status === undefined || status >= 500 || passing.has(status)) {
    const retryAfterMs = secondsOf(cause.headers?.get('retry-after')) * 1_000
    const code = status === 429 ? 'model_rate_limited' : 'model_overloaded'
    return unavailable(code, 'Claude is overloaded', { details: { retryAfterMs }, cause })
  }
  if (status === 401 || status === 403) {
    return denied('model_key_refused', 'Claude refused the API key', { cause })
  }
  return invalid('model_request_refused', 'Claude refused the request', { cause })
}
