/**
 * Claude behind one function: one turn in, one reply out, with its usage and exact cost. Live mode
 * and the stand-in run the same code; only the base URL and the key differ.
 */
import Anthropic from '@anthropic-ai/sdk'
import { transformJSONSchema } from '@anthropic-ai/sdk/lib/transform-json-schema'
import { z } from 'zod'
import { AppError, denied, internal, invalid, unavailable } from './errors.ts'
import type { Metrics } from './metrics.ts'
import { costNanoUsd, type Prices, type Usage } from './prices.ts'
import { CircuitBreaker } from './resilience.ts'

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
  readonly stopReason: string
  readonly usage: Usage
  readonly costNanoUsd: number
}

export interface Model {
  readonly mode: ModelMode
  /**
   * @throws unavailable for overload, rate limit, connection and deadline: a retry may help.
   * @throws invalid or denied when Claude refuses the request itself: it will not.
   */
  turn(request: TurnRequest, signal: AbortSignal): Promise<TurnReply>
}

const breakerFailuresMax = 8
const breakerOpenMs = 5_000
/** The SDK's own limit until headers; the caller's signal is the deadline that holds. */
const headersTimeoutMs = 60_000
const breakerLevel = { closed: 0, half_open: 1, open: 2 } as const

/** A JSON schema in the subset that structured output and strict tools accept. */
export function toModelSchema(schema: z.ZodType): JsonSchema {
  return transformJSONSchema(z.toJSONSchema(schema) as never) as unknown as JsonSchema
}

export interface ClaudeConfig {
  readonly CLAUDE_MODE: ModelMode
  readonly CLAUDE_URL?: string | undefined
  readonly ANTHROPIC_API_KEY?: string | undefined
}

/**
 * @throws Error when the mode's own setting is missing. `live` never falls back to the stand-in,
 * nor the reverse; the stand-in gets a dummy key, so a real one in the environment never leaves.
 */
export function createModel(config: ClaudeConfig, prices: Prices, metrics: Metrics): Model {
  const mode = config.CLAUDE_MODE
  const client = new Anthropic({ ...connection(config), maxRetries: 0, timeout: headersTimeoutMs })
  const breakers = new Map<string, CircuitBreaker>()

  return {
    mode,
    turn: (request, signal) =>
      breakerOf(breakers, request.model, metrics).run(() => once(request, signal)),
  }

  async function once(request: TurnRequest, signal: AbortSignal): Promise<TurnReply> {
    const { model } = request
    const startedAt = performance.now()
    const seconds = () => (performance.now() - startedAt) / 1_000
    try {
      const stream = client.messages.stream(toParams(request), { signal })
      stream.once('streamEvent', () => metrics.claudeFirstToken.observe({ model, mode }, seconds()))
      const message = await stream.finalMessage()
      const usage = readUsage(message.usage)
      const cost = costNanoUsd(prices, model, usage)
      recordUsage(metrics, model, mode, usage, cost)
      metrics.claudeRequests.inc({ model, outcome: message.stop_reason ?? 'none', mode })
      return {
        content: message.content as unknown as Block[],
        stopReason: message.stop_reason ?? 'none',
        usage,
        costNanoUsd: cost,
      }
    } catch (cause) {
      const error = translate(cause, signal)
      metrics.claudeRequests.inc({ model, outcome: error.code, mode })
      throw error
    } finally {
      metrics.claudeDuration.observe({ model, mode }, seconds())
    }
  }
}

function connection(config: ClaudeConfig): { apiKey: string; baseURL?: string } {
  if (config.CLAUDE_MODE === 'live') {
    const apiKey = config.ANTHROPIC_API_KEY
    if (apiKey === undefined) throw new Error('CLAUDE_MODE=live needs ANTHROPIC_API_KEY')
    return { apiKey }
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
    onChange: (state) => metrics.breakerState.set({ dependency: model }, breakerLevel[state]),
  })
  breakers.set(model, created)
  return created
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

function recordUsage(
  metrics: Metrics,
  model: string,
  mode: ModelMode,
  usage: Usage,
  cost: number,
): void {
  const count = (kind: string, tokens: number) =>
    metrics.claudeTokens.inc({ model, kind, mode }, tokens)
  count('input', usage.inputTokens)
  count('output', usage.outputTokens)
  count('cache_read', usage.cacheReadTokens)
  count('cache_write', usage.cacheWrite5mTokens + usage.cacheWrite1hTokens)
  metrics.claudeCostUsd.inc({ model, mode }, cost / 1e9)
}

const passing = new Set([408, 409, 429])

function translate(cause: unknown, signal: AbortSignal): AppError {
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
  const status = cause.status as number | undefined
  if (status === undefined || status >= 500 || passing.has(status)) {
    const retryAfterMs = Number(cause.headers?.get('retry-after') ?? 0) * 1_000
    const code = status === 429 ? 'model_rate_limited' : 'model_overloaded'
    return unavailable(code, 'Claude is overloaded', { details: { retryAfterMs }, cause })
  }
  if (status === 401 || status === 403) {
    return denied('model_key_refused', 'Claude refused the API key', { cause })
  }
  return invalid('model_request_refused', 'Claude refused the request', { cause })
}
