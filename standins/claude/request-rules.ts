/**
 * Rules about the request as a whole: what the chosen model refuses, tools, caching marks.
 *
 * Every refusal is a 400 that the vendor's API would give too (facts of October 2026).
 */

import { invalidRequest } from './api-error.ts'
import type { StandinModel } from './models.ts'
import { outputTokensMax } from './models.ts'
import type { CountRequest, MessagesRequest } from './request-shape.ts'
import { checkSchemas } from './schema-rules.ts'

const knownFields = new Set([
  'cache_control',
  'container',
  'diagnostics',
  'inference_geo',
  'max_tokens',
  'messages',
  'metadata',
  'model',
  'output_config',
  'service_tier',
  'speed',
  'stop_sequences',
  'stream',
  'system',
  'thinking',
  'tool_choice',
  'tools',
])

/**
 * Message threads are a feature this server does not have. The SDK understands this answer and
 * sends the conversation again in full. Asked before the shape, since a thread leaves fields out.
 */
export function refuseThreads(body: unknown): void {
  if (typeof body !== 'object' || body === null || !('thread' in body) || body.thread == null)
    return
  throw invalidRequest('thread: message threads are not supported here, send the full request', {
    error_code: 'thread_unsupported_request',
    unsupported: null,
  })
}

/** Checks shared by messages and token counting. `beta` requests may carry fields we do not know. */
export function checkRequest(request: CountRequest, model: StandinModel, beta: boolean): void {
  for (const field of ['temperature', 'top_p', 'top_k']) {
    if (request[field] !== undefined) {
      throw invalidRequest(`${field}: sampling parameters are not supported by ${model.id}`)
    }
  }
  for (const field of Object.keys(request)) {
    if (!beta && !knownFields.has(field))
      throw invalidRequest(`${field}: Extra inputs are not permitted`)
  }
  checkThinking(request, model)
  checkTools(request)
  checkToolChoice(request, model)
}

/** Checks that only a request for an answer needs: `max_tokens` and the limits of a cache pre-warm. */
export function checkOutput(request: MessagesRequest, model: StandinModel): void {
  const { max_tokens: wanted } = request
  if (wanted > outputTokensMax) {
    throw invalidRequest(
      `max_tokens: ${wanted} > ${outputTokensMax}, which is the maximum allowed number of output tokens for ${model.id}`,
    )
  }
  if (wanted > 0) return
  if (request.stream === true) throw invalidRequest('max_tokens: 0 cannot be combined with stream')
  if (request.output_config?.format != null) {
    throw invalidRequest('max_tokens: 0 cannot be combined with output_config.format')
  }
  if (isForced(request))
    throw invalidRequest('max_tokens: 0 cannot be combined with a forced tool_choice')
}

/** Whether the client demands a tool call. */
export function isForced(request: CountRequest): boolean {
  return request.tool_choice?.type === 'any' || request.tool_choice?.type === 'tool'
}

function checkThinking(request: CountRequest, model: StandinModel): void {
  const type = request.thinking?.type
  if (type === undefined) return
  if (!model.thinking.includes(type)) {
    throw invalidRequest(`thinking.type: '${type}' is not supported by ${model.id}; use 'adaptive'`)
  }
  const effort = request.output_config?.effort
  if (type !== 'adaptive' && (effort === 'xhigh' || effort === 'max')) {
    throw invalidRequest(`thinking.type: '${type}' is not allowed with effort '${effort}'`)
  }
}

function checkTools(request: CountRequest): void {
  const strict: { path: string; schema: unknown }[] = []
  const names = new Set<string>()
  for (const [i, tool] of (request.tools ?? []).entries()) {
    if (names.has(tool.name)) throw invalidRequest('tools: Tool names must be unique.')
    names.add(tool.name)
    if (tool.type != null && tool.type !== 'custom') continue // a server-side tool: never called here
    if (!/^[a-zA-Z0-9_-]{1,128}$/.test(tool.name)) {
      throw invalidRequest(
        `tools.${i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`,
      )
    }
    if (tool.input_schema === undefined)
      throw invalidRequest(`tools.${i}.custom.input_schema: Field required`)
    if (tool.input_schema.type !== 'object') {
      throw invalidRequest(`tools.${i}.custom.input_schema.type: Input should be 'object'`)
    }
    if (tool.strict === true)
      strict.push({ path: `tools.${i}.custom.input_schema`, schema: tool.input_schema })
  }
  checkSchemas(strict, request.output_config?.format?.schema)
}

function checkToolChoice(request: CountRequest, model: StandinModel): void {
  const choice = request.tool_choice
  if (choice === undefined) return
  const tools = request.tools ?? []
  if (tools.length === 0 && choice.type !== 'none') {
    throw invalidRequest('tool_choice: may only be specified while providing tools')
  }
  if (isForced(request) && !model.forcedTools) {
    throw invalidRequest(
      `tool_choice: '${choice.type}' is not supported by ${model.id}; use 'auto'`,
    )
  }
  if (choice.type === 'tool' && !tools.some((tool) => tool.name === choice.name)) {
    throw invalidRequest(`tool_choice: Tool '${choice.name}' not found in provided tools`)
  }
}
