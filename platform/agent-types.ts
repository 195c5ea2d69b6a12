/** What an agent is made of, what it may use, and what its run leaves behind. */
import type { z } from 'zod'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Effort, Message, Model, ModelMode, TurnReply } from './model.ts'
import type { Usage } from './prices.ts'
import type { RetryPolicy } from './resilience.ts'

/** A read-only tool offered to a model. `run` sees validated input and may throw AppErrors. */
export interface AgentTool {
  readonly name: string
  readonly description: string
  readonly input: z.ZodObject
  readonly run: (input: never, signal: AbortSignal) => Promise<object>
}

/** Types the input of a tool by its schema. */
export function agentTool<I extends z.ZodObject>(tool: {
  readonly name: string
  readonly description: string
  readonly input: I
  readonly run: (input: z.output<I>, signal: AbortSignal) => Promise<object>
}): AgentTool {
  return tool
}

export interface AgentLimits {
  readonly turnsMax: number
  readonly toolCallsMax: number
  readonly tokensMax: number
  readonly costNanoUsdMax: number
  readonly outputTokensPerTurnMax: number
  /** One model call, milliseconds. */
  readonly turnMs: number
  /** The whole run, milliseconds. */
  readonly runMs: number
}

export const defaultLimits: AgentLimits = {
  turnsMax: 6,
  toolCallsMax: 24,
  tokensMax: 200_000,
  costNanoUsdMax: 500_000_000,
  outputTokensPerTurnMax: 8_000,
  // The first use of a schema compiles a grammar, and a long answer streams for a while.
  turnMs: 45_000,
  runMs: 60_000,
}

export interface AgentSpec<V extends z.ZodObject> {
  readonly name: string
  readonly model: string
  /** Asked one after the other when Claude cannot serve the one before. Default none. */
  readonly fallbacks?: readonly string[]
  readonly effort: Effort
  /** The system prompt: constant, so that it is cached. */
  readonly prompt: string
  readonly verdict: V
  readonly limits: AgentLimits
  /** Whether the order is held for want of a verdict, where rules may not decide. Default never. */
  readonly holdsWithout?: (failure: AgentFailure) => boolean
}

/** A model that refuses the task has seen something: a person looks, rules do not decide. */
export const isRefusal = ({ code }: AgentFailure): boolean => code === 'refused'

/** The part of a spec that an operator sets. */
export type AgentSettings = Pick<
  AgentSpec<z.ZodObject>,
  'model' | 'fallbacks' | 'effort' | 'limits'
>

export interface AgentToolCall {
  readonly name: string
  readonly ok: boolean
  /** What was found, as clipped JSON, or the code of the refusal: for operators, not for clients. */
  readonly evidence?: string | undefined
}

/** What a run used, for the order's answer and for explanations. */
export interface AgentRecord {
  /** The one that was asked last. */
  readonly model: string
  /** Those before it that could not answer, and why. */
  readonly fallbackFrom?: readonly { readonly model: string; readonly code: string }[]
  readonly mode: ModelMode
  readonly turns: number
  readonly stopReason: string
  readonly repaired: boolean
  readonly toolCalls: readonly AgentToolCall[]
  readonly usage: Usage
  readonly costNanoUsd: number
  readonly durationMs: number
}

export type AgentRun<V> =
  | { readonly by: 'agent'; readonly verdict: V; readonly record: AgentRecord }
  | { readonly by: 'rules'; readonly reason: AgentFailure; readonly record: AgentRecord }

/** Why an agent gave no usable verdict. `code` is from a closed set. */
export interface AgentFailure {
  readonly code:
    | 'verdict_invalid'
    | 'truncated'
    | 'refused'
    | 'unknown_stop'
    | 'turn_limit'
    | 'tool_call_limit'
    | 'token_limit'
    | 'cost_limit'
    | 'time_limit'
    | 'model_unavailable'
    | 'model_refused_request'
  readonly message: string
}

/**
 * A run paused after its first turn: plain data that can be recorded and finished later, elsewhere.
 * The model has asked its questions; the tools that answer them have not run yet.
 */
export interface AgentDraft {
  readonly messages: readonly Message[]
  readonly pending: Pick<TurnReply, 'content' | 'stopReason'>
  readonly record: AgentRecord
}

export interface AgentDeps {
  readonly model: Model
  readonly metrics: Metrics
  readonly log: Log
  readonly retry: RetryPolicy
}
