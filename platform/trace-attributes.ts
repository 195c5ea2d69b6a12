/**
 * The names of everything that a span says. `gen_ai.*` and `mcp.*` follow OpenTelemetry's conventions
 * for generative AI, which still change: a rename there is a rename here and nowhere else.
 */

export const attribute = {
  errorType: 'error.type',

  httpMethod: 'http.request.method',
  /** The pattern, never the path: a path holds ids, and one holds a secret. */
  httpRoute: 'http.route',
  httpStatus: 'http.response.status_code',

  dbSystem: 'db.system.name',
  dbNamespace: 'db.namespace',
  dbOperation: 'db.operation.name',
  /** The statement with $1, $2, ...: values are never in it. */
  dbQuery: 'db.query.text',

  mcpMethod: 'mcp.method.name',

  genAiOperation: 'gen_ai.operation.name',
  genAiProvider: 'gen_ai.provider.name',
  genAiAgent: 'gen_ai.agent.name',
  genAiTool: 'gen_ai.tool.name',
  /** Of us: the order. */
  genAiConversation: 'gen_ai.conversation.id',
  genAiRequestModel: 'gen_ai.request.model',
  genAiRequestTokensMax: 'gen_ai.request.max_tokens',
  genAiFinishReasons: 'gen_ai.response.finish_reasons',
  /** All that went in, what the cache held included. */
  genAiInputTokens: 'gen_ai.usage.input_tokens',
  genAiOutputTokens: 'gen_ai.usage.output_tokens',
  genAiCacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  genAiCacheWriteTokens: 'gen_ai.usage.cache_write.input_tokens',

  // What follows is content: only where TRACE_CONTENT asks for it.
  genAiSystem: 'gen_ai.system_instructions',
  genAiInput: 'gen_ai.input.messages',
  genAiOutput: 'gen_ai.output.messages',
  genAiToolArguments: 'gen_ai.tool.call.arguments',
  genAiToolResult: 'gen_ai.tool.call.result',

  orderId: 'baton.order.id',
  runId: 'baton.run.id',
  step: 'baton.step',
  agentTurn: 'baton.agent.turn',
  /** Of one model call, in billionths of a US dollar; simulated where the mode is `standin`. */
  costNanoUsd: 'baton.cost_nano_usd',
  claudeMode: 'baton.claude.mode',
} as const

/** Values of `gen_ai.operation.name`. */
export const operation = { chat: 'chat', agent: 'invoke_agent', tool: 'execute_tool' } as const
