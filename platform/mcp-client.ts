/**
 * Calls tools of one MCP server by contract: a fresh access token for every call, a deadline, a
 * circuit breaker, and errors that come back as the AppError that the server threw. No retries:
 * the workflow step above owns them.
 */
import type { Client } from '@modelcontextprotocol/client'
import type { z } from 'zod'
import { AppError, fromWire, invalid, isNamed } from './errors.ts'
import { connect } from './mcp-connect.ts'
import { translate } from './mcp-errors.ts'
import type { Metrics } from './metrics.ts'
import { CircuitBreaker, deadline } from './resilience.ts'
import type { ToolContract } from './tool.ts'
import { versionMetaKey } from './tool-version.ts'
import { attribute, operation } from './trace-attributes.ts'
import { inSpan, linksFrom, placeIn, traceparentFor } from './tracing.ts'

const breakerFailuresMax = 10
const breakerOpenMs = 2_000
/** The SDK keeps `authorization` for itself, so a call's token travels to our fetch in this one. */
const tokenHeader = 'x-baton-access-token'

export interface CallOptions {
  /** Milliseconds this call may take, waiting included. */
  readonly timeoutMs: number
  readonly traceId: string
  readonly signal?: AbortSignal
  /** The order that a bound tool touches; goes into the token. */
  readonly orderId?: string
}

/** Makes the token for one call. */
export type Authorize = (call: { scope: string; orderId?: string }) => Promise<string>

export interface McpCaller {
  call<I extends z.ZodObject, O extends z.ZodObject>(
    contract: ToolContract<I, O>,
    input: z.input<I>,
    options: CallOptions,
  ): Promise<z.output<O>>
  close(): Promise<void>
}

/** A caller for the server at `baseUrl`. Connects without a round trip and survives its restarts. */
export function createMcpCaller(options: {
  readonly server: string
  readonly baseUrl: string
  readonly authorize: Authorize
  readonly metrics: Metrics
}): McpCaller {
  const { server, authorize, metrics } = options
  const breaker = new CircuitBreaker(server, {
    failuresMax: breakerFailuresMax,
    openMs: breakerOpenMs,
    onChange: metrics.onBreakerChange(server),
  })
  const { baseUrl } = options
  const client = connect({ server, baseUrl, capabilities: { tools: {} }, fetch: fetchWithToken })

  return {
    call: (contract, input, callOptions) => {
      const work = async () => {
        const labels = { server, tool: contract.name }
        const end = metrics.clientDuration.startTimer(labels, callOptions.traceId)
        try {
          const bound = contract.bound === 'order' ? callOptions.orderId : undefined
          const token = await authorize({
            scope: contract.scope,
            ...(bound === undefined ? {} : { orderId: bound }),
          })
          return await callOnce(await client, token, contract, input, callOptions)
        } catch (cause) {
          throw translate(server, cause)
        } finally {
          end()
        }
      }
      return inSpan(
        `tools/call ${contract.name}`,
        attributesOf(contract),
        () => breaker.run(work),
        {
          kind: 'client',
          parent: placeIn(callOptions.traceId),
          links: linksFrom(callOptions.traceId),
        },
      )
    },
    close: async () => (await client).close(),
  }
}

const attributesOf = ({ name }: ToolContract) => ({
  [attribute.mcpMethod]: 'tools/call',
  [attribute.genAiOperation]: operation.tool,
  [attribute.genAiTool]: name,
})

/** Each call carries a token of its own: the transport's own token is one per connection. */
const fetchWithToken: typeof fetch = (url, init) => {
  const headers = new Headers(init?.headers)
  const token = headers.get(tokenHeader)
  headers.delete(tokenHeader)
  if (token !== null) headers.set('authorization', `Bearer ${token}`)
  return fetch(url, { ...init, headers })
}

async function callOnce<I extends z.ZodObject, O extends z.ZodObject>(
  client: Client,
  token: string,
  contract: ToolContract<I, O>,
  input: z.input<I>,
  { timeoutMs, traceId, signal }: CallOptions,
): Promise<z.output<O>> {
  const traceparent = traceparentFor(traceId)
  const result = await client.callTool(
    {
      name: contract.name,
      arguments: input as Record<string, unknown>,
      _meta: { traceparent, [versionMetaKey]: contract.version },
    },
    {
      signal: deadline(timeoutMs, signal),
      timeout: timeoutMs,
      maxTotalTimeout: timeoutMs,
      // In the header too: a refusal before the message is read belongs to the trace as well.
      headers: { [tokenHeader]: token, traceparent },
    },
  )
  if (result.isError === true) throw toolError(result)
  const output = contract.output.safeParse(result.structuredContent)
  if (output.success) return output.data
  throw new AppError('internal', 'bad_tool_output', `${contract.name} broke its contract`, {
    cause: output.error,
  })
}

/** Without `_meta.error` the SDK itself refused the arguments: that is our caller's mistake. */
function toolError(result: { _meta?: object | undefined; content?: unknown }): AppError {
  const error = (result._meta as { error?: unknown } | undefined)?.error
  if (isNamed(error)) return fromWire(error)
  const [first] = result.content as { text?: string }[]
  return invalid('invalid_arguments', first?.text ?? 'The server refused the arguments')
}
