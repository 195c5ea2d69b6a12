/**
 * What one process offers over MCP: a server is made for every request, with exactly the tools,
 * resources and prompts that the caller's token allows.
 */
import {
  type AuthInfo,
  type CallToolResult,
  getOAuthProtectedResourceMetadataUrl,
  type McpRequestContext,
  McpServer,
  type ServerEventBus,
  type StandardSchemaWithJSON,
} from '@modelcontextprotocol/server'
import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import { hasScope } from './authority.ts'
import { denied, named, toWire, type WireError } from './errors.ts'
import type { Identify } from './identify.ts'
import type { Log } from './log.ts'
import { createMcpDoor, type McpCall } from './mcp-door.ts'
import { type MountedMcp, mountMcpHandler } from './mcp-http.ts'
import { registerPrompts } from './mcp-prompts.ts'
import { registerResources } from './mcp-resources.ts'
import type { Metrics } from './metrics.ts'
import type { Prompt } from './prompt.ts'
import type { Resource } from './resource.ts'
import type { RunTool } from './run-tool.ts'
import type { Tool } from './tool.ts'
import type { CallRecord } from './tool-calls.ts'
import { versionMetaKey } from './tool-version.ts'
import { placeOf } from './tracing.ts'

/** Everything that a process offers; the doors (MCP, facade) show and run the same. */
export interface Primitives {
  readonly tools: readonly Tool[]
  readonly resources: readonly Resource[]
  readonly prompts: readonly Prompt[]
}

export interface McpEndpoint {
  readonly name: string
  readonly version: string
  /** Own base URL: the audience that tokens must carry, and a Host that requests may name. */
  readonly resourceUrl: string
  readonly issuers: readonly string[]
  readonly primitives: Primitives
  readonly identify: Identify
  readonly runTool: RunTool
  readonly record: (call: CallRecord, cause?: unknown) => void
  /** Where changes of resources come from; without one nothing can be watched. */
  readonly bus?: ServerEventBus
  readonly log: Log
  readonly metrics: Metrics
}

const listTtlMs = 60_000

/** Mounts `/mcp` and the RFC 9728 metadata. */
export function mountMcp(app: FastifyInstance, endpoint: McpEndpoint): MountedMcp {
  const metadataUrl = metadataUrlOf(endpoint.resourceUrl)
  const { primitives, identify, record, metrics, resourceUrl, bus, log } = endpoint
  const mounted = mountMcpHandler(app, {
    resourceUrl,
    authorize: createMcpDoor({
      ...{ primitives, identify, record, metrics, metadataUrl },
    }),
    createServer: ({ authInfo, era }) => createServer(endpoint, callOf(authInfo), era),
    ...(bus === undefined ? {} : { bus }),
    log,
  })
  const scopes = [...primitives.tools, ...primitives.resources, ...primitives.prompts]
  app.get(new URL(metadataUrl).pathname, async () => ({
    resource: resourceUrl,
    authorization_servers: endpoint.issuers,
    scopes_supported: [...new Set(scopes.map(({ contract }) => contract.scope))].sort(),
    bearer_methods_supported: ['header'],
  }))
  return mounted
}

/**
 * One document, at the one place where its `resource` is the identifier that the well-known path was
 * inserted into (RFC 9728, 3.1 and 3.3): that of the whole service, which is the audience of tokens.
 * Under `.../mcp` it would have to name another resource, so nothing is there. After a challenge, 3.3
 * taken literally wants the requested URL itself; MCP clients take a parent path of the same origin.
 */
export const metadataUrlOf = (resourceUrl: string): string =>
  getOAuthProtectedResourceMetadataUrl(new URL(resourceUrl))

const byName = (a: { contract: { name: string } }, b: { contract: { name: string } }) =>
  a.contract.name < b.contract.name ? -1 : 1

function createServer(
  endpoint: McpEndpoint,
  call: McpCall,
  era: McpRequestContext['era'],
): McpServer {
  const { tools, resources, prompts } = endpoint.primitives
  // The older era subscribes in a session, and there are none.
  const canWatch = endpoint.bus !== undefined && era === 'modern'
  const server = new McpServer(
    { name: endpoint.name, version: endpoint.version },
    {
      capabilities: {
        tools: { listChanged: false },
        ...(resources.length === 0
          ? {}
          : { resources: { subscribe: canWatch, listChanged: false } }),
        ...(prompts.length === 0 ? {} : { prompts: { listChanged: false } }),
      },
      cacheHints: {
        'tools/list': { ttlMs: listTtlMs, cacheScope: 'private' },
        'prompts/list': { ttlMs: listTtlMs, cacheScope: 'private' },
        'resources/list': { ttlMs: 0, cacheScope: 'private' },
        'resources/templates/list': { ttlMs: listTtlMs, cacheScope: 'private' },
        'server/discover': { ttlMs: listTtlMs, cacheScope: 'private' },
      },
    },
  )
  const allowed = <
    P extends { readonly contract: Tool['contract'] | Resource['contract'] | Prompt['contract'] },
  >(
    all: readonly P[],
  ): P[] => all.filter(({ contract }) => hasScope(call.token, contract)).sort(byName)
  // Registering a tool builds its JSON schemas: a call needs only the tool that it names.
  const wanted = tools.filter(
    ({ contract }) => call.tool === undefined || contract.name === call.tool,
  )
  for (const tool of allowed(wanted)) register(server, tool, endpoint, call)
  if (call.tool !== undefined) return server
  const deps = { token: call.token, record: endpoint.record, traceId: call.traceId }
  if (resources.length > 0) registerResources(server.server, allowed(resources), deps)
  if (prompts.length > 0) registerPrompts(server.server, allowed(prompts), deps)
  return server
}

function callOf(authInfo: AuthInfo | undefined): McpCall {
  const call = authInfo?.extra?.call as McpCall | undefined
  if (call === undefined) throw denied('invalid_token', 'No verified token')
  return call
}

function register(server: McpServer, tool: Tool, endpoint: McpEndpoint, call: McpCall): void {
  const { contract } = tool
  const config = {
    description: contract.description,
    inputSchema: describing(contract.input),
    outputSchema: describing(contract.output),
    annotations: contract.annotations,
    _meta: { version: contract.version },
  }
  server.registerTool(contract.name, config, async (input, { mcpReq }): Promise<CallToolResult> => {
    const token = mcpReq._meta?.progressToken
    const stated = mcpReq._meta?.[versionMetaKey]
    const place = placeOf(mcpReq._meta, call.traceId)
    const progress = async (done: number, total: number, message: string) => {
      if (token === undefined) return
      const params = { progressToken: token, progress: done, total, message }
      await mcpReq.notify({ method: 'notifications/progress', params })
    }
    try {
      const { output, warnings } = await endpoint.runTool({
        tool,
        input,
        token: call.token,
        via: 'mcp',
        statedVersion: stated === undefined ? call.statedVersion : stated,
        place,
        context: {
          signal: mcpReq.signal,
          traceId: place.traceId,
          ...(token === undefined ? {} : { progress }),
        },
      })
      return {
        content: [{ type: 'text', text: JSON.stringify(output) }],
        structuredContent: output as Record<string, unknown>,
        ...(warnings.length === 0 ? {} : { _meta: { warnings } }),
      }
    } catch (cause) {
      return errorResult(toWire(named(cause)))
    }
  })
}

function errorResult(error: WireError): CallToolResult {
  const text = [`${error.code}: ${error.message}`, error.next].filter(Boolean).join(' ')
  return { isError: true, content: [{ type: 'text', text }], _meta: { error } }
}

const schemas = new WeakMap<z.ZodObject, z.ZodObject>()

/**
 * The schema as the SDK shows it to callers. It builds its JSON form once: the SDK asks for it on
 * every request, and building it took a tenth of a call's CPU. It lets every value pass: the tool
 * runner checks arguments and results, and its refusals have a code.
 */
function describing(schema: z.ZodObject): z.ZodObject {
  const known = schemas.get(schema)
  if (known !== undefined) return known
  const standard = schema['~standard'] as StandardSchemaWithJSON['~standard']
  const { jsonSchema } = standard
  const kept = { input: once(jsonSchema.input), output: once(jsonSchema.output) }
  const validate = (value: unknown) => ({ value })
  const wrapped = { '~standard': { ...standard, validate, jsonSchema: kept } }
  schemas.set(schema, wrapped as unknown as z.ZodObject)
  return wrapped as unknown as z.ZodObject
}

type Convert = StandardSchemaWithJSON['~standard']['jsonSchema']['input']

function once(convert: Convert): Convert {
  let json: ReturnType<Convert> | undefined
  return (options) => {
    json ??= convert(options)
    return json
  }
}
