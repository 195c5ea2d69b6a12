/**
 * One agent run, turn by turn: every stop reason, every limit, every tool call; down the ladder of
 * models where Claude cannot serve one of them.
 */
import type { z } from 'zod'
import type {
  AgentDeps,
  AgentDraft,
  AgentFailure,
  AgentRecord,
  AgentRun,
  AgentSpec,
  AgentTool,
  AgentToolCall,
} from './agent-types.ts'
import { type AppError, invalid, named, toWire } from './errors.ts'
import {
  type Block,
  type Message,
  type OfferedTool,
  type TurnReply,
  toModelSchema,
} from './model.ts'
import { addUsage, noUsage, type Usage } from './prices.ts'
import { deadline, withRetry } from './resilience.ts'
import { printable } from './tool.ts'
import { attribute, operation } from './trace-attributes.ts'
import { codeOf, inSpan, type Span } from './tracing.ts'

/** Room for an order of 100 lines with long names. */
const toolResultCharactersMax = 64_000
/** Tool calls of a run whose answers are kept for explanations, and how much of each. */
const explainedMax = 24
const evidenceCharactersMax = 600
const repairsMax = 1
/** A longer rate limit than this is not waited for while another model can be asked. */
const rateLimitWaitMsMax = 2_000
const timeShareOfRung = 2 / 3

/** The state of one run: lives from the first turn to the verdict. */
export class AgentLoop<V extends z.ZodObject> {
  readonly #deps: AgentDeps
  readonly #spec: AgentSpec<V>
  readonly #tools: ReadonlyMap<string, AgentTool>
  readonly #offered: readonly OfferedTool[]
  readonly #signal: AbortSignal
  readonly #task: Message
  readonly #models: readonly string[]
  readonly #fallbackFrom: { model: string; code: string }[] = []
  #messages: Message[]
  readonly #startedAt: number
  readonly #toolCalls: ToolCallRecord[] = []
  #turns = 0
  #repairs = 0
  #usage: Usage = noUsage
  #costNanoUsd = 0
  #stopReason = 'none'
  #pending: AgentDraft['pending'] | undefined

  constructor(
    deps: AgentDeps,
    spec: AgentSpec<V>,
    tools: readonly AgentTool[],
    task: object,
    signal: AbortSignal,
    draft: AgentDraft | null = null,
  ) {
    this.#deps = deps
    this.#spec = spec
    this.#tools = new Map(tools.map((tool) => [tool.name, tool]))
    this.#offered = tools.map(offer)
    this.#signal = signal
    this.#task = userText(`<task>${JSON.stringify(task)}</task>`)
    this.#models = [spec.model, ...(spec.fallbacks ?? [])]
    this.#messages = [this.#task]
    this.#startedAt = performance.now() - (draft?.record.durationMs ?? 0)
    if (draft === null) return
    this.#messages = [...draft.messages]
    this.#pending = draft.pending
    this.#turns = draft.record.turns
    this.#usage = draft.record.usage
    this.#costNanoUsd = draft.record.costNanoUsd
    this.#stopReason = draft.record.stopReason
  }

  async toDraft(): Promise<AgentDraft | null> {
    try {
      const { content, stopReason } = await this.#turn()
      return { messages: this.#messages, pending: { content, stopReason }, record: this.#record() }
    } catch (cause) {
      this.#deps.log.warn({ agent: this.#spec.name, err: cause }, 'agent not opened ahead of time')
      return null
    }
  }

  async toEnd(): Promise<AgentRun<z.output<V>>> {
    const { limits } = this.#spec
    const ended = this.#pending && (await this.#react(this.#pending))
    if (ended !== undefined) return ended
    while (this.#turns < limits.turnsMax) {
      const exceeded = this.#exceeded()
      if (exceeded !== undefined) return this.#rules(exceeded, `The run is over its ${exceeded}`)
      let reply: TurnReply
      try {
        reply = await this.#turn()
      } catch (cause) {
        const error = named(cause)
        if (this.#stepDown(error)) continue
        return this.#modelFailed(error)
      }
      const end = await this.#react(reply)
      if (end !== undefined) return end
    }
    return this.#rules('turn_limit', `No verdict after ${limits.turnsMax} turns`)
  }

  #turn(): Promise<TurnReply> {
    const attributes = { [attribute.agentTurn]: this.#turns + 1 }
    return inSpan('agent_turn', attributes, () => this.#takeTurn())
  }

  async #takeTurn(): Promise<TurnReply> {
    const { spec, deps } = { spec: this.#spec, deps: this.#deps }
    const request = {
      model: this.#model,
      effort: spec.effort,
      outputTokensMax: spec.limits.outputTokensPerTurnMax,
      system: spec.prompt,
      tools: this.#offered,
      messages: this.#messages,
      verdictSchema: modelSchema(spec.verdict),
    }
    const reply = await withRetry(
      deps.retry,
      this.#signal,
      () => deps.model.turn(request, deadline(this.#turnMs, this.#signal)),
      (error) => {
        if (this.#isWorthNoRetry(error)) throw error
      },
    )
    this.#turns += 1
    this.#usage = addUsage(this.#usage, reply.usage)
    this.#costNanoUsd += reply.costNanoUsd
    this.#stopReason = reply.stopReason
    this.#messages.push({ role: 'assistant', content: reply.content })
    return reply
  }

  /** A model that stalls leaves the ones below it a third of what is left of the run's time. */
  get #turnMs(): number {
    const { turnMs, runMs } = this.#spec.limits
    if (!this.#hasRungBelow) return turnMs
    const leftMs = runMs - (performance.now() - this.#startedAt)
    return Math.max(1, Math.min(turnMs, Math.round(leftMs * timeShareOfRung)))
  }

  get #model(): string {
    return this.#models[this.#fallbackFrom.length] ?? this.#spec.model
  }

  get #hasRungBelow(): boolean {
    return this.#fallbackFrom.length + 1 < this.#models.length
  }

  /** With another model to ask, nobody waits for one that is resting, stalled or out of its quota. */
  #isWorthNoRetry({ code, details }: AppError): boolean {
    if (!this.#hasRungBelow) return false
    if (code === 'model_rate_limited')
      return Number(details?.retryAfterMs ?? 0) > rateLimitWaitMsMax
    return code === 'circuit_open' || code === 'model_deadline'
  }

  /**
   * Starts over on the next model when Claude cannot serve this one; false when that cannot help. The
   * conversation begins anew: what one model thought means nothing to another.
   */
  #stepDown(error: AppError): boolean {
    const concernsAll = error.kind !== 'unavailable' || error.code === 'model_unreachable'
    if (concernsAll || this.#signal.aborted || !this.#hasRungBelow) return false
    const from = this.#model
    this.#fallbackFrom.push({ model: from, code: error.code })
    this.#messages = [this.#task]
    this.#repairs = 0
    const { metrics, model, log } = this.#deps
    metrics.agentFallbacks.inc({ from, to: this.#model, mode: model.mode })
    log.warn(
      { agent: this.#spec.name, from, to: this.#model, code: error.code },
      'model stepped down',
    )
    return true
  }

  /** Every stop reason of the API has its line; the end of the run, or undefined to go on. */
  async #react(reply: AgentDraft['pending']): Promise<AgentRun<z.output<V>> | undefined> {
    switch (reply.stopReason) {
      case 'tool_use':
        return this.#runTools(reply.content)
      case 'pause_turn':
        return undefined
      case 'end_turn':
      case 'stop_sequence':
        return this.#judge(reply.content)
      case 'max_tokens':
      case 'model_context_window_exceeded':
        return this.#rules('truncated', 'The answer was cut off, so it is not acted on')
      case 'refusal':
        return this.#rules('refused', 'The model refused the task')
      case 'unusable':
        return this.#rules('truncated', 'The answer is too long or too deeply nested to be used')
      default:
        return this.#rules('unknown_stop', `Unknown stop reason ${reply.stopReason}`)
    }
  }

  async #runTools(content: readonly Block[]): Promise<AgentRun<z.output<V>> | undefined> {
    const calls = content.filter((block) => block.type === 'tool_use')
    if (this.#toolCalls.length + calls.length > this.#spec.limits.toolCallsMax) {
      return this.#rules('tool_call_limit', 'The model asked for too many tool calls')
    }
    const results = await Promise.all(calls.map((call) => this.#runTool(call)))
    this.#messages.push({ role: 'user', content: results })
    return undefined
  }

  #runTool(call: Block): Promise<Block> {
    const name = String(call.name)
    const known = this.#tools.has(name) ? name : 'unknown'
    const attributes = { [attribute.genAiOperation]: operation.tool, [attribute.genAiTool]: known }
    return inSpan(`execute_tool ${known}`, attributes, (span) => this.#answer(call, known, span))
  }

  async #answer(call: Block, known: string, span: Span | undefined): Promise<Block> {
    const name = String(call.name)
    const record: ToolCallRecord = { name: known, ok: true }
    const isExplained = this.#toolCalls.length < explainedMax
    this.#toolCalls.push(record)
    const result = { type: 'tool_result', tool_use_id: call.id }
    span?.content(() => ({ [attribute.genAiToolArguments]: JSON.stringify(call.input) }))
    try {
      const output = JSON.stringify(await this.#callTool(name, call.input))
      span?.content(() => ({ [attribute.genAiToolResult]: output }))
      if (output.length > toolResultCharactersMax) {
        throw invalid('result_too_large', `${name} found too much`, { next: 'Ask for less.' })
      }
      if (isExplained) record.evidence = clipped(output)
      return { ...result, content: output }
    } catch (cause) {
      record.ok = false
      span?.fail(codeOf(cause))
      const { kind, code, message, next = '' } = toWire(cause)
      if (isExplained) record.evidence = code
      if (kind === 'internal') {
        this.#deps.log.error(
          { agent: this.#spec.name, tool: name, err: cause },
          'agent tool failed',
        )
      }
      return { ...result, is_error: true, content: `${code}: ${message} ${next}`.trim() }
    }
  }

  async #callTool(name: string, input: unknown): Promise<object> {
    const tool = this.#tools.get(name)
    if (tool === undefined) {
      const offered = [...this.#tools.keys()].join(', ')
      throw invalid('unknown_tool', `There is no tool ${name.slice(0, 64)}`, {
        next: `Use one of: ${offered}.`,
      })
    }
    const parsed = tool.input.safeParse(input)
    if (!parsed.success) {
      throw invalid('invalid_arguments', issuesOf(parsed.error), { next: 'Correct the input.' })
    }
    return tool.run(parsed.data as never, this.#signal)
  }

  #judge(content: readonly Block[]): AgentRun<z.output<V>> | undefined {
    const text = content.findLast((block) => block.type === 'text')?.text
    const problem = this.#parse(text)
    if (typeof problem !== 'string') {
      return { by: 'agent', verdict: problem.verdict, record: this.#record() }
    }
    if (this.#repairs >= repairsMax) return this.#rules('verdict_invalid', problem)
    this.#repairs += 1
    this.#messages.push(
      userText(
        `The verdict did not fit its schema: ${problem}. Answer with the verdict JSON only.`,
      ),
    )
    return undefined
  }

  #parse(text: unknown): string | { verdict: z.output<V> } {
    try {
      const parsed = this.#spec.verdict.safeParse(JSON.parse(String(text)))
      return parsed.success ? { verdict: parsed.data } : issuesOf(parsed.error)
    } catch {
      return 'it is not JSON'
    }
  }

  #exceeded(): 'token_limit' | 'cost_limit' | undefined {
    const { limits } = this.#spec
    const used = Object.values(this.#usage).reduce((sum, tokens) => sum + tokens, 0)
    if (used >= limits.tokensMax) return 'token_limit'
    if (this.#costNanoUsd >= limits.costNanoUsdMax) return 'cost_limit'
    return undefined
  }

  #modelFailed(error: AppError): AgentRun<z.output<V>> {
    if (this.#signal.aborted) return this.#rules('time_limit', 'The run took too long')
    const code = error.kind === 'unavailable' ? 'model_unavailable' : 'model_refused_request'
    return this.#rules(code, `${error.code}: ${error.message}`)
  }

  #rules(code: AgentFailure['code'], message: string): AgentRun<z.output<V>> {
    return { by: 'rules', reason: { code, message }, record: this.#record() }
  }

  #record(): AgentRecord {
    return {
      model: this.#model,
      ...(this.#fallbackFrom.length === 0 ? {} : { fallbackFrom: this.#fallbackFrom }),
      mode: this.#deps.model.mode,
      turns: this.#turns,
      stopReason: this.#stopReason,
      repaired: this.#repairs > 0,
      toolCalls: this.#toolCalls,
      usage: this.#usage,
      costNanoUsd: this.#costNanoUsd,
      durationMs: Math.round(performance.now() - this.#startedAt),
    }
  }
}

const userText = (text: string): Message => ({ role: 'user', content: [{ type: 'text', text }] })

const issuesOf = (error: z.ZodError): string =>
  error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || 'root'}: ${issue.message}`)
    .join('; ')
    .slice(0, 600)

// Building a schema costs more than a turn at zero latency, and each is asked for on every turn.
const schemas = new WeakMap<z.ZodType, ReturnType<typeof toModelSchema>>()

function modelSchema(schema: z.ZodType): ReturnType<typeof toModelSchema> {
  const known = schemas.get(schema)
  if (known !== undefined) return known
  const built = toModelSchema(schema)
  schemas.set(schema, built)
  return built
}

const offer = (tool: AgentTool): OfferedTool => ({
  name: tool.name,
  description: tool.description,
  inputSchema: modelSchema(tool.input),
})

type ToolCallRecord = { -readonly [K in keyof AgentToolCall]: AgentToolCall[K] }

/** What was found as one line, cut where it is long. */
function clipped(found: string): string {
  const text = printable(found)
  return text.length <= evidenceCharactersMax
    ? text
    : `${text.slice(0, evidenceCharactersMax)}…`.toWellFormed()
}
