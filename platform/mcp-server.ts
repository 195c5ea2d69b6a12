/**
 * One stateless MCP endpoint on Fastify: verifies the caller, shows and runs exactly the tools that
 * its token allows, and turns errors into results that a model or a program can act on.
 */
import { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node'
import {
  type AuthInfo,
  bearerAuthChallengeResponse,
  type CallToolResult,
  createMcpHandler,
  getOAuthProtectedResourceMetadataUrl,
  type McpHttpHandler,
  McpServer,
  OAuthError,
  OAuthErrorCode,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { bearerOf, type VerifiedToken, type VerifyToken } from './access-tokens.ts'
import { databaseFault } from './db.ts'
import { denied, named, policy, toWire, type WireError } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Tool, ToolContract } from './tool.ts'
import { traceIdFrom } from './tracing.ts'

interface McpEndpoint {
  readonly name: string
  readonly version: string
  /** Own base URL: the audience that tokens must carry, and a Host that requests may name. */
  readonly resourceUrl: string
  readonly issuer: string
  readonly tools: readonly Tool[]
  readonly verifyToken: VerifyToken
  readonly log: Log
  readonly metrics: Metrics
}

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']

/** Mounts `/mcp` and the RFC 9728 metadata; returns the handler, which must be closed on stop. */
export function mountMcp(app: FastifyInstance, endpoint: McpEndpoint): McpHttpHandler {
  const tools = endpoint.tools.toSorted((a, b) => (a.contract.name < b.contract.name ? -1 : 1))
  const handler = createMcpHandler(
    ({ authInfo }) => {
      const server = new McpServer({ name: endpoint.name, version: endpoint.version })
      const { verified, called } = callerOf(authInfo)
      // A server lives for one request, and registering a tool builds its JSON schemas: a call
      // needs only the tool that it names.
      const wanted = called === undefined ? tools : tools.filter((t) => t.contract.name === called)
      for (const tool of wanted)
        if (allows(verified, tool.contract)) register(server, tool, endpoint)
      return server
    },
    { onerror: (error) => endpoint.log.debug({ err: error }, 'mcp request refused') },
  )
  const serve = toNodeHandler(handler)
  const hosts = [...loopbackHosts, new URL(endpoint.resourceUrl).hostname]
  const hostAllowed = hostHeaderValidation(hosts)
  const originAllowed = originValidation(hosts)
  const authenticate = createAuthenticator(endpoint, tools)

  app.all('/mcp', async (request, reply) => {
    reply.hijack()
    if (!hostAllowed(request.raw, reply.raw) || !originAllowed(request.raw, reply.raw)) return
    const auth = await authenticate(request)
    if (auth instanceof Response) return sendResponse(reply, auth)
    // The adapter's structural type wants exact optional properties that node:http does not promise.
    const raw = Object.assign(request.raw, { auth }) as Parameters<typeof serve>[0]
    await serve(raw, reply.raw, request.body)
  })

  app.get(new URL(metadataUrlOf(endpoint)).pathname, async () => ({
    resource: endpoint.resourceUrl,
    authorization_servers: [endpoint.issuer],
    scopes_supported: [...new Set(tools.map((tool) => tool.contract.scope))].sort(),
    bearer_methods_supported: ['header'],
  }))
  return handler
}

/**
 * One document, at the one place where its `resource` is the identifier that the well-known path was
 * inserted into (RFC 9728, 3.1 and 3.3): that of the whole service, which is the audience of tokens.
 * Under `.../mcp` it would have to name another resource, so nothing is there. After a challenge, 3.3
 * taken literally wants the requested URL itself; MCP clients take a parent path of the same origin.
 */
const metadataUrlOf = ({ resourceUrl }: McpEndpoint): string =>
  getOAuthProtectedResourceMetadataUrl(new URL(resourceUrl))

/** A bearer check that also answers 403 at once when a call asks for a tool out of scope. */
function createAuthenticator(endpoint: McpEndpoint, tools: readonly Tool[]) {
  const resourceMetadataUrl = metadataUrlOf(endpoint)
  const byName = new Map(tools.map((tool) => [tool.contract.name, tool.contract]))
  const challenge = (error: unknown, requiredScopes?: string[]) =>
    bearerAuthChallengeResponse(error, {
      resourceMetadataUrl,
      ...(requiredScopes === undefined ? {} : { requiredScopes }),
    })

  return async (request: FastifyRequest): Promise<AuthInfo | Response> => {
    const bearer = bearerOf(request.headers.authorization)
    const called = calledTool(request.body)
    const contract = byName.get(called ?? '')
    const scopes = contract === undefined ? undefined : [contract.scope]
    if (bearer === undefined) {
      endpoint.metrics.authRefusals.inc({ reason: 'missing_token' })
      const text = 'Missing or malformed Authorization header'
      return challenge(new OAuthError(OAuthErrorCode.InvalidToken, text), scopes)
    }
    try {
      const token = await endpoint.verifyToken(bearer)
      if (contract !== undefined && !allows(token, contract)) {
        endpoint.metrics.authRefusals.inc({ reason: 'insufficient_scope' })
        const text = `This call needs scope ${contract.scope}`
        return challenge(new OAuthError(OAuthErrorCode.InsufficientScope, text), scopes)
      }
      return authInfoOf(bearer, { verified: token, called })
    } catch (cause) {
      const error = named(cause)
      endpoint.metrics.authRefusals.inc({ reason: error.code })
      if (error.kind !== 'denied') return Response.json(toWire(error), { status: 503 })
      return challenge(new OAuthError(OAuthErrorCode.InvalidToken, error.message), scopes)
    }
  }
}

function calledTool(body: unknown): string | undefined {
  const call = body as { method?: unknown; params?: { name?: unknown } } | undefined
  if (call?.method !== 'tools/call') return undefined
  return typeof call.params?.name === 'string' ? call.params.name : undefined
}

interface McpRequestCaller {
  readonly verified: VerifiedToken
  /** The tool that a `tools/call` names; undefined for every other request. */
  readonly called: string | undefined
}

const authInfoOf = (token: string, caller: McpRequestCaller): AuthInfo => ({
  token,
  clientId: caller.verified.clientId,
  scopes: [...caller.verified.scopes],
  expiresAt: caller.verified.expiresAt,
  extra: { caller },
})

function callerOf(authInfo: AuthInfo | undefined): McpRequestCaller {
  const caller = authInfo?.extra?.caller as McpRequestCaller | undefined
  if (caller === undefined) throw denied('invalid_token', 'No verified token')
  return caller
}

const allows = (token: VerifiedToken, contract: ToolContract) =>
  token.scopes.includes(contract.scope)

function register(server: McpServer, tool: Tool, endpoint: McpEndpoint): void {
  const { contract } = tool
  server.registerTool(
    contract.name,
    {
      description: contract.description,
      inputSchema: keepingJson(contract.input),
      outputSchema: keepingJson(contract.output),
      annotations: contract.annotations,
      _meta: { version: contract.version },
    },
    async (input, context): Promise<CallToolResult> => {
      const { verified: token } = callerOf(context.http?.authInfo)
      const end = endpoint.metrics.toolDuration.startTimer({
        server: endpoint.name,
        tool: contract.name,
      })
      const traceId = traceIdFrom(context.mcpReq._meta?.traceparent)
      const outcome = (name: string) => {
        end()
        endpoint.metrics.toolCalls.inc({
          server: endpoint.name,
          tool: contract.name,
          outcome: name,
        })
      }
      try {
        assertBound(contract, token, input)
        const { signal } = context.mcpReq
        const result = await tool.handle(input, { signal, traceId, clientId: token.clientId })
        outcome('ok')
        return {
          content: [{ type: 'text', text: JSON.stringify(result) }],
          structuredContent: result as Record<string, unknown>,
        }
      } catch (cause) {
        const error = named(databaseFault(cause))
        outcome(error.kind)
        const orderId = input.orderId
        const fields = { tool: contract.name, traceId, orderId, code: error.code, err: cause }
        endpoint.log[policy[error.kind].level](fields, 'tool call failed')
        return errorResult(toWire(error))
      }
    },
  )
}

const schemas = new WeakMap<z.ZodObject, z.ZodObject>()

/**
 * The same schema, which builds its JSON form once: the SDK asks for it on every request, and
 * building it took a tenth of a call's CPU. The SDK knows a schema by its `~standard` part alone.
 */
function keepingJson(schema: z.ZodObject): z.ZodObject {
  const known = schemas.get(schema)
  if (known !== undefined) return known
  const standard = schema['~standard'] as StandardSchemaWithJSON['~standard']
  const { jsonSchema } = standard
  const kept = { input: once(jsonSchema.input), output: once(jsonSchema.output) }
  const wrapped = { '~standard': { ...standard, jsonSchema: kept } } as unknown as z.ZodObject
  schemas.set(schema, wrapped)
  return wrapped
}

type Convert = StandardSchemaWithJSON['~standard']['jsonSchema']['input']

function once(convert: Convert): Convert {
  let json: ReturnType<Convert> | undefined
  return (options) => {
    json ??= convert(options)
    return json
  }
}

/** The one place that compares a token with the order it touches. */
function assertBound(
  contract: ToolContract,
  token: VerifiedToken,
  input: Record<string, unknown>,
): void {
  const wanted = contract.bound === 'order' ? input.orderId : undefined
  if (token.orderId === wanted) return
  throw denied('order_not_bound', 'The access token is not for this order', {
    next: 'Use a token whose order_id is the order that the call names.',
  })
}

function errorResult(error: WireError): CallToolResult {
  const text = [`${error.code}: ${error.message}`, error.next].filter(Boolean).join(' ')
  return { isError: true, content: [{ type: 'text', text }], _meta: { error } }
}

async function sendResponse(reply: FastifyReply, response: Response): Promise<void> {
  reply.raw.writeHead(response.status, Object.fromEntries(response.headers))
  reply.raw.end(await response.text())
}
