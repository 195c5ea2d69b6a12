/**
 * Runs one tool call, whichever door it came through: version, arguments, order and single use of
 * the token are checked, the handler runs, its answer is checked, and all of it is counted and told.
 */
import type { VerifiedToken } from './access-tokens.ts'
import { assertBound, assertScope } from './authority.ts'
import { databaseFault } from './db.ts'
import { AppError, named } from './errors.ts'
import { isAccessCode } from './metric-labels.ts'
import type { Metrics } from './metrics.ts'
import { readArguments } from './read-arguments.ts'
import { redactArguments } from './redact.ts'
import type { Spend } from './spent-tokens.ts'
import type { CallContext, Tool, ToolContract } from './tool.ts'
import type { CallRecord } from './tool-calls.ts'
import { checkVersion, type Warning } from './tool-version.ts'
import { attribute, operation } from './trace-attributes.ts'
import { inSpan, type Span, type TracePlace } from './tracing.ts'
import { inWork } from './work.ts'

const correctThem = 'Correct them by the inputSchema of tools/list.'

export interface ToolCall {
  readonly tool: Tool
  readonly input: unknown
  readonly token: VerifiedToken
  readonly via: 'mcp' | 'facade'
  /** As the caller stated it; undefined when it did not. */
  readonly statedVersion: unknown
  /** Where in a trace the caller stands; absent where that of the request around it is meant. */
  readonly place?: TracePlace
  readonly context: Pick<CallContext, 'signal' | 'traceId' | 'progress'>
}

export interface ToolResult {
  readonly output: object
  readonly warnings: readonly Warning[]
}

/** @throws AppError of any kind; what nobody named is `internal`. */
export type RunTool = (call: ToolCall) => Promise<ToolResult>

export function createToolRunner(options: {
  readonly server: string
  readonly metrics: Metrics
  readonly spend: Spend
  readonly record: (call: CallRecord, cause?: unknown) => void
}): RunTool {
  const { server, metrics, spend, record } = options
  const run = async (call: ToolCall, span: Span | undefined) => {
    const { contract } = call.tool
    const startedMs = performance.now()
    const { traceId } = call.context
    const end = metrics.toolDuration.startTimer({ server, tool: contract.name }, traceId)
    let input: Record<string, unknown> | undefined
    const told = (outcome: CallRecord['outcome'], code?: string, cause?: unknown) => {
      end()
      metrics.toolCalls.inc({ server, tool: contract.name, outcome })
      span?.set({ [attribute.orderId]: orderOf(input, call.token).orderId })
      record({ ...describeCall(call, input, startedMs), outcome, code }, cause)
    }
    try {
      assertScope(call.token, contract)
      const warnings = checkVersion(contract, call.statedVersion)
      const parsed = readArguments(contract, call.input, correctThem)
      input = parsed
      assertBound(call.token, contract, parsed.orderId)
      if (contract.bound === 'order' && !contract.annotations.readOnlyHint) await spend(call.token)
      const { clientId, scopes } = call.token
      const context = { ...call.context, clientId, scopes }
      const output = await inWork({ traceId, ...orderOf(parsed, call.token) }, () =>
        call.tool.handle(parsed, context),
      )
      const checked = readOutput(contract, output)
      told('ok')
      return { output: checked, warnings }
    } catch (cause) {
      const error = named(databaseFault(cause))
      if (isAccessCode(error.code)) metrics.refused(error.code)
      told(error.kind, error.code, cause)
      throw error
    }
  }
  return (call) => {
    const { name } = call.tool.contract
    const attributes = { [attribute.genAiOperation]: operation.tool, [attribute.genAiTool]: name }
    const work = (span: Span | undefined) => run(call, span)
    // By the facade it is a part of the HTTP request, whose span is there.
    if (call.via === 'facade') return inSpan(`execute_tool ${name}`, attributes, work)
    const asked = { [attribute.mcpMethod]: 'tools/call', ...attributes }
    return inSpan(`tools/call ${name}`, asked, work, { kind: 'server', parent: call.place })
  }
}

function describeCall(
  { tool: { contract }, token, via, context }: ToolCall,
  input: Record<string, unknown> | undefined,
  startedMs: number,
) {
  return {
    kind: 'tool' as const,
    name: contract.name,
    via,
    clientId: token.clientId,
    orderId: orderOf(input, token).orderId,
    // What does not fit the schema may be anything, under any name.
    arguments: input === undefined ? '[invalid]' : redactArguments(input, contract.plain),
    durationMs: Math.round(performance.now() - startedMs),
    traceId: context.traceId,
  }
}

/** The order that a call is about: the one it names, else the one that its token is for. */
function orderOf(
  input: Record<string, unknown> | undefined,
  token: VerifiedToken,
): { orderId?: string } {
  const orderId = typeof input?.orderId === 'string' ? input.orderId : token.orderId
  return orderId === undefined ? {} : { orderId }
}

function readOutput(contract: ToolContract, output: object): object {
  const parsed = contract.output.safeParse(output)
  if (parsed.success) return parsed.data
  const message = `${contract.name} broke its contract`
  throw new AppError('internal', 'bad_tool_output', message, { cause: parsed.error })
}
