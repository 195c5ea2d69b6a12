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
import { assertBound, assertScope } from './authority.ts'
import { databaseFault } from './db.ts'
import { type AppError, invalid, missing, named, policy, toWire } from './errors.ts'
import type { Identify } from './identify.ts'
import {
  type Asked,
  askedBy,
  type Message,
  toolNamedBy,
  watchedBy,
  watchedMax,
} from './mcp-message.ts'
import type { Primitives } from './mcp-server.ts'
import { isAccessCode } from './metric-labels.ts'
import type { Metrics } from './metrics.ts'
import { findResource, uriOf } from './resource.ts'
import type { CallContext } from './tool.ts'
import type { CallRecord } from './tool-calls.ts'
import { versionHeader } from './tool-version.ts'

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
  readonly record: (call: CallRecord) => void
  readonly metrics: Metrics
  readonly metadataUrl: string
}

/** What `mountMcpHandler` asks for every request. */
export function createMcpDoor(options: McpDoorOptions) {
  const { primitives, metrics, metadataUrl } = options
  return async (request: FastifyRequest, signal: AbortSignal): Promise<AuthInfo | Response> => {
    const message = (request.body ?? {}) as Message
    const asked = askedBy(primitives, message)
    let token: VerifiedToken | undefined
    try {
      token = await options.identify(request)
      for (const { kind, needs, orderId } of asked) {
        assertScope(token, needs)
        if (kind === 'resource') assertBound(token, needs, orderId)
      }
      const { clientId, scopes } = token
      await assertMayWatch(primitives, message, {
        ...{ clientId, scopes, signal, traceId: request.id },
      })
      return authInfoOf(token, message, request)
    } catch (cause) {
      const error = named(databaseFault(cause))
      if (token !== undefined) tellRefusal(options, asked, token, error, request.id)
      if (isAccessCode(error.code)) metrics.refused(error.code)
      return refusal(error, [...new Set(asked.map(({ needs }) => needs.scope))], metadataUrl)
    }
  }
}

/** A refusal behind a valid token is a call too; its arguments were not looked at. */
function tellRefusal(
  { record }: McpDoorOptions,
  asked: readonly Asked[],
  { clientId, orderId: bound }: VerifiedToken,
  { kind: outcome, code }: AppError,
  traceId: string,
): void {
  const [first] = asked
  if (first === undefined) return
  const { kind, name, orderId = bound } = first
  record({
    ...{ kind, name, via: 'mcp', clientId, orderId, arguments: '[unread]' },
    ...{ outcome, code, durationMs: 0, traceId },
  })
}

/** Whoever watches a resource learns when it changes: as much as reading it, so reading decides. */
async function assertMayWatch(
  { resources }: Primitives,
  message: Message,
  context: CallContext,
): Promise<void> {
  const uris = watchedBy(message)
  if (uris.length > watchedMax) throw tooManyWatched()
  for (const uri of uris) {
    const found = findResource(resources, uri)
    if (found === undefined) throw noSuchResource()
    const { contract, read } = found.resource
    // Changes are told under one spelling; whoever listens for another would wait for ever.
    const spelled = uriOf(contract, found.variables)
    if (spelled !== uri) throw otherSpelling(spelled)
    await read(found.variables, context)
  }
}

const tooManyWatched = () =>
  invalid('too_many_watched', `One stream watches at most ${watchedMax} resources`, {
    next: 'Open more streams.',
  })

const noSuchResource = () =>
  missing('no_such_resource', 'This cannot be watched: no such resource', {
    next: 'Use a URI of resources/list or of a template.',
  })

const otherSpelling = (uri: string) =>
  invalid('uri_not_canonical', 'Changes of this resource are told under another spelling', {
    next: `Watch ${uri}`,
  })

function authInfoOf(token: VerifiedToken, message: Message, request: FastifyRequest): AuthInfo {
  const stated = request.headers[versionHeader]
  const call: McpCall = {
    token,
    tool: toolNamedBy(message),
    statedVersion: typeof stated === 'string' ? stated : undefined,
    traceId: request.id,
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
