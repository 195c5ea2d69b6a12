/** Resources over MCP: lists in pages, templates, reads. */
import { ProtocolError, ProtocolErrorCode, type Server } from '@modelcontextprotocol/server'
import type { VerifiedToken } from './access-tokens.ts'
import { assertBound } from './authority.ts'
import { databaseFault } from './db.ts'
import { type AppError, invalid, missing, named, toWire } from './errors.ts'
import { findResource, isTemplate, type Resource, type ResourcePage } from './resource.ts'
import type { CallContext } from './tool.ts'
import type { CallRecord } from './tool-calls.ts'

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
  const contextOf = (signal: AbortSignal): CallContext => {
    const { clientId, scopes } = deps.token
    return { signal, traceId: deps.traceId, clientId, scopes }
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
    const told = teller(deps, 'resource', contract.uri, found.variables.orderId)
    try {
      assertBound(deps.token, contract, found.variables.orderId)
      const value = await read(found.variables, contextOf(mcpReq.signal))
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
  const { code, message, next } = toWire(error)
  const data = { code, next, ...(uri === undefined ? {} : { uri }) }
  const isTheirs = error.kind !== 'internal' && error.kind !== 'unavailable'
  const number = isTheirs ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError
  return new ProtocolError(number, `${code}: ${message}`, data)
}

/** Fixed resources first, then what can be listed, resource by resource: one page of one of them. */
async function listPage(
  resources: readonly Resource[],
  cursor: string | undefined,
  context: CallContext,
) {
  const listed = resources.filter(({ list }) => list !== undefined)
  const position = cursor === undefined ? { index: 0, inner: undefined } : readCursor(cursor)
  const fixed =
    cursor === undefined ? resources.filter(({ contract }) => !isTemplate(contract)) : []
  const first = fixed.map(({ contract: { uri, name, description } }) => ({
    ...{ uri, name, description, mimeType },
  }))
  const resource = listed[position.index]
  if (resource?.list === undefined) return { resources: first }
  const page = await resource.list(position.inner, context)
  const next = cursorAfter(position.index, page, listed.length)
  const entries = page.entries.map((entry) => ({ ...entry, mimeType }))
  return { resources: [...first, ...entries], ...(next === undefined ? {} : { nextCursor: next }) }
}

function cursorAfter(index: number, { next }: ResourcePage, count: number): string | undefined {
  if (next !== undefined) return writeCursor([index, next])
  return index + 1 < count ? writeCursor([index + 1]) : undefined
}

const writeCursor = (position: readonly [number, string?]) =>
  Buffer.from(JSON.stringify(position)).toString('base64url')

const cursorCharactersMax = 500

function readCursor(cursor: string): { index: number; inner: string | undefined } {
  try {
    if (cursor.length > cursorCharactersMax) throw new RangeError('too long')
    const [index, inner] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    if (typeof index === 'number' && (inner === undefined || typeof inner === 'string')) {
      return { index, inner }
    }
  } catch {
    // falls through: whatever it is, it is not ours
  }
  throw invalid('bad_cursor', 'The cursor is not one of ours', {
    next: 'Start again without a cursor.',
  })
}
