/** Resources over MCP: lists in pages, templates, reads. */
import { ProtocolError, ProtocolErrorCode, type Server } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { VerifiedToken } from './access-tokens.ts'
import { assertBound } from './authority.ts'
import { databaseFault } from './db.ts'
import { type AppError, invalid, missing, named, toWire } from './errors.ts'
import { findResource, isTemplate, type Resource, type ResourcePage } from './resource.ts'
import type { CallContext } from './tool.ts'
import type { CallRecord } from './tool-calls.ts'
import { placeOf } from './tracing.ts'

export interface RegisterDeps {
  readonly token: VerifiedToken
  readonly record: (call: CallRecord, cause?: unknown) => void
  readonly traceId: string
}

const mimeType = 'application/json'

/** Shows `resources`, in their order, to one caller. */
export function registerResources(
  server: Server,
  resources: readonly Resource[],
  deps: RegisterDeps,
): void {
  const contextOf = (signal: AbortSignal, traceId = deps.traceId): CallContext => {
    const { clientId, scopes } = deps.token
    return { signal, traceId, clientId, scopes }
  }
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: resources
      .filter(({ contract }) => isTemplate(contract))
      .map(({ contract: { name, uri, description } }) => ({
        ...{ name, uriTemplate: uri, description, mimeType },
      })),
  }))
  server.setRequestHandler('resources/list', async ({ params }, { mcpReq }) => {
    try {
      return await listPage(resources, params?.cursor, contextOf(mcpReq.signal))
    } catch (cause) {
      throw protocolError(named(databaseFault(cause)))
    }
  })
  server.setRequestHandler('resources/read', async ({ params: { uri } }, { mcpReq }) => {
    const found = findResource(resources, uri)
    if (found === undefined) throw protocolError(noSuchResource(), uri)
    const { contract, read } = found.resource
    const traced = { ...deps, traceId: placeOf(mcpReq._meta, deps.traceId).traceId }
    const told = teller(traced, 'resource', contract.uri, found.variables.orderId)
    try {
      assertBound(deps.token, contract, found.variables.orderId)
      const value = await read(found.variables, contextOf(mcpReq.signal, traced.traceId))
      told('ok')
      const contents = [{ uri, mimeType, text: JSON.stringify(value) }]
      return { contents, ttlMs: contract.ttlMs, cacheScope: 'private' as const }
    } catch (cause) {
      const error = named(databaseFault(cause))
      told(error.kind, error.code, cause)
      throw protocolError(error, uri)
    }
  })
}

/** Writes down one read or prompt; the row says which resource, not which thing, unless an order. */
export function teller(
  { token, record, traceId }: RegisterDeps,
  kind: CallRecord['kind'],
  name: string,
  orderId: string | undefined,
) {
  const startedMs = performance.now()
  return (outcome: CallRecord['outcome'], code?: string, cause?: unknown) =>
    record(
      {
        ...{ kind, name, via: 'mcp', clientId: token.clientId, orderId, arguments: {} },
        ...{ outcome, code, durationMs: Math.round(performance.now() - startedMs), traceId },
      },
      cause,
    )
}

const noSuchResource = () =>
  missing('no_such_resource', 'There is no such resource', {
    next: 'Use a URI of resources/list or of a template.',
  })

/** A refusal on the wire: for JSON-RPC both eras know, with our code and what to do next. */
export function protocolError(error: AppError, uri?: string): ProtocolError {
  const { message, ...told } = toWire(error)
  const data = { ...told, ...(uri === undefined ? {} : { uri }) }
  const isTheirs = error.kind !== 'internal' && error.kind !== 'unavailable'
  const number = isTheirs ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError
  return new ProtocolError(number, `${told.code}: ${message}`, data)
}

/** Fixed resources first, then what can be listed, resource by resource: one page of one of them. */
async function listPage(
  resources: readonly Resource[],
  cursor: string | undefined,
  context: CallContext,
) {
  const listed = resources.filter(({ list }) => list !== undefined)
  const { index, inner } = cursor === undefined ? { index: 0 } : readCursor(cursor, listed)
  const fixed =
    cursor === undefined ? resources.filter(({ contract }) => !isTemplate(contract)) : []
  const first = fixed.map(({ contract: { uri, name, description } }) => ({
    ...{ uri, name, description, mimeType },
  }))
  const resource = listed[index]
  if (resource?.list === undefined) return { resources: first }
  const page = await resource.list(inner, context)
  const next = cursorAfter(listed, index, page)
  const entries = page.entries.map((entry) => ({ ...entry, mimeType }))
  return { resources: [...first, ...entries], ...(next === undefined ? {} : { nextCursor: next }) }
}

function cursorAfter(listed: readonly Resource[], index: number, { next }: ResourcePage) {
  const name = listed[next === undefined ? index + 1 : index]?.contract.name
  if (name === undefined) return undefined
  return Buffer.from(JSON.stringify([name, next])).toString('base64url')
}

const cursorCharactersMax = 500
/** The resource whose page comes next, and where in it: its own cursor. */
const position = z.tuple([z.string(), z.string().nullable()])

function readCursor(cursor: string, listed: readonly Resource[]) {
  if (cursor.length > cursorCharactersMax) throw badCursor()
  const [name, inner] = parsedCursor(cursor)
  const index = listed.findIndex(({ contract }) => contract.name === name)
  if (index === -1) throw badCursor()
  return { index, inner: inner ?? undefined }
}

function parsedCursor(cursor: string): z.infer<typeof position> {
  try {
    return position.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch {
    throw badCursor()
  }
}

const badCursor = () =>
  invalid('bad_cursor', 'The cursor is not one of ours', {
    next: 'Start again without a cursor.',
  })
