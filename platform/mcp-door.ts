/**
 * Lets an MCP request in, before any server is made for it: the token, and what the message that it
 * carries needs. Refusals are HTTP answers with a challenge (RFC 6750, RFC 9728).
 */
import {
  type AuthInfo,
  bearerAuthChallengeResponse,
  OAuthError,
  OAuthErrorCode,
} from '@modelcontextprotocol/server'
import type { FastifyRequest } from 'fastify'
import type { VerifiedToken } from './access-tokens.ts'
import { assertBound, hasScope, insufficientScope, type Needs } from './authority.ts'
import { databaseFault } from './db.ts'
import { type AppError, missing, named, policy, toWire } from './errors.ts'
import type { Identify } from './identify.ts'
import type { Primitives } from './mcp-server.ts'
import type { Metrics } from './metrics.ts'
import { findResource } from './resource.ts'
import type { CallContext } from './tool.ts'
import { traceIdFrom } from './tracing.ts'

const watchedMax = 100

export interface McpCall {
  readonly token: VerifiedToken
  /** The tool that a `tools/call` names; undefined for every other request. */
  readonly tool: string | undefined
  /** What the caller says of its version of the tool, in a header. */
  readonly statedVersion: string | undefined
  readonly traceId: string
}

export interface McpDoorOptions {
  readonly primitives: Primitives
  readonly identify: Identify
  readonly metrics: Metrics
  readonly metadataUrl: string
  readonly versionHeader: string
}

interface Message {
  readonly method?: unknown
  readonly params?: {
    readonly name?: unknown
    readonly uri?: unknown
    readonly notifications?: { readonly resourceSubscriptions?: unknown }
  }
}

/** What `mountMcpHandler` asks for every request. */
export function createMcpDoor(options: McpDoorOptions) {
  const { metrics, metadataUrl } = options
  return async (request: FastifyRequest): Promise<AuthInfo | Response> => {
    const message = (request.body ?? {}) as Message
    const needs = needsOf(options.primitives, message)
    try {
      const token = await options.identify(request)
      const lacking = needs.find((need) => !hasScope(token, need))
      if (lacking !== undefined) throw insufficientScope(lacking.scope)
      await assertMayWatch(options.primitives, message, token, request)
      return authInfoOf(token, message, request, options.versionHeader)
    } catch (cause) {
      const error = named(databaseFault(cause))
      if (error.code === 'insufficient_scope' || error.code === 'order_not_bound') {
        metrics.authRefusals.inc({ reason: error.code })
      }
      return refusal(error, [...new Set(needs.map(({ scope }) => scope))], metadataUrl)
    }
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** What a message needs of its caller; nothing for lists, which show what the caller may use. */
function needsOf({ tools, resources, prompts }: Primitives, message: Message): Needs[] {
  const name = text(message.params?.name)
  const needs = (found: { readonly contract: Needs } | undefined) =>
    found === undefined ? [] : [found.contract]
  switch (message.method) {
    case 'tools/call':
      return needs(tools.find((tool) => tool.contract.name === name))
    case 'prompts/get':
      return needs(prompts.find((prompt) => prompt.contract.name === name))
    case 'resources/read':
      return needs(findResource(resources, text(message.params?.uri))?.resource)
    case 'subscriptions/listen':
      return watchedOf(message).flatMap((uri) => needs(findResource(resources, uri)?.resource))
    default:
      return []
  }
}

function watchedOf(message: Message): string[] {
  if (message.method !== 'subscriptions/listen') return []
  const uris = message.params?.notifications?.resourceSubscriptions
  return Array.isArray(uris) ? uris.map(text) : []
}

/** Whoever watches a resource learns when it changes: as much as reading it, so reading decides. */
async function assertMayWatch(
  { resources }: Primitives,
  message: Message,
  token: VerifiedToken,
  request: FastifyRequest,
): Promise<void> {
  const uris = watchedOf(message)
  if (uris.length > watchedMax) throw noSuchResource(`more than ${watchedMax} at once`)
  for (const uri of uris) {
    const found = findResource(resources, uri)
    if (found === undefined) throw noSuchResource('no such resource')
    assertBound(token, found.resource.contract, found.variables.orderId)
    await found.resource.read(found.variables, contextOf(token, request))
  }
}

function contextOf(token: VerifiedToken, request: FastifyRequest): CallContext {
  const { clientId, scopes } = token
  return { clientId, scopes, traceId: request.id, signal: new AbortController().signal }
}

const noSuchResource = (why: string) =>
  missing('no_such_resource', `This cannot be watched: ${why}`, {
    next: 'Use a URI of resources/list or of a template.',
  })

function authInfoOf(
  token: VerifiedToken,
  message: Message,
  request: FastifyRequest,
  versionHeader: string,
): AuthInfo {
  const stated = request.headers[versionHeader]
  const call: McpCall = {
    token,
    tool: message.method === 'tools/call' ? text(message.params?.name) : undefined,
    statedVersion: typeof stated === 'string' ? stated : undefined,
    traceId: traceIdFrom(request.headers.traceparent),
  }
  const { clientId, scopes, expiresAt } = token
  return { token: '', clientId, scopes: [...scopes], expiresAt, extra: { call, token } }
}

/** The door's answer to a refusal: a challenge when a token could help, else the error as JSON. */
function refusal(error: AppError, scopes: string[], resourceMetadataUrl: string): Response {
  const challenge = {
    resourceMetadataUrl,
    ...(scopes.length === 0 ? {} : { requiredScopes: scopes }),
  }
  if (error.code === 'insufficient_scope') {
    const cause = new OAuthError(OAuthErrorCode.InsufficientScope, error.message)
    return bearerAuthChallengeResponse(cause, challenge)
  }
  if (error.http?.status === 401) {
    const cause = new OAuthError(OAuthErrorCode.InvalidToken, error.message)
    return bearerAuthChallengeResponse(cause, challenge)
  }
  const status = error.http?.status ?? policy[error.kind].status
  return Response.json(toWire(error), { status, headers: { ...error.http?.headers } })
}
