/** Who asks: the client behind a request, and what it may do. */
import type { FastifyRequest } from 'fastify'
import { bearerOf, type VerifyToken } from '../platform/access-tokens.ts'
import { AppError, denied, missing } from '../platform/errors.ts'

export interface Caller {
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
}

export type Authenticate = (request: FastifyRequest, scope: string) => Promise<Caller>

/** With `AUTH=off` everybody on this machine is one client that may do everything. */
const localCaller: Caller = {
  clientId: 'local',
  scopes: new Set([
    'orders:submit',
    'orders:read',
    'orders:read:all',
    'orders:cancel',
    'orders:cancel:all',
    'orders:approve',
    'orders:approve:all',
    'orders:resume',
    'orders:resume:all',
  ]),
}

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']

/**
 * Asks for no token, so it asks who speaks instead: a page that a browser on this machine shows can
 * send requests here too, under its own name in `Host` (DNS rebinding) or `Origin`. Loopback names
 * and the host of `publicUrl` are let in, on any port.
 *
 * @throws denied `foreign_host`, `foreign_origin` (403).
 */
export function authenticateLocally(publicUrl: string): Authenticate {
  const hosts = new Set([...loopbackHosts, new URL(publicUrl).hostname])
  const names = [...hosts].join(', ')
  return async ({ headers: { host, origin } }) => {
    if (!hosts.has(URL.parse(`http://${host}`)?.hostname ?? '')) {
      throw denied('foreign_host', 'The Host header names another host than this one', {
        next: `Without tokens (AUTH=off), ask one of: ${names}.`,
      })
    }
    if (origin !== undefined && !hosts.has(URL.parse(origin)?.hostname ?? '')) {
      throw denied('foreign_origin', 'A page of another site sent this request', {
        next: `Without tokens (AUTH=off), only pages of these hosts may ask: ${names}.`,
      })
    }
    return localCaller
  }
}

/**
 * @throws denied `missing_token` or `invalid_token` (401), `insufficient_scope` (403).
 */
export function authenticateByToken(verify: VerifyToken): Authenticate {
  return async (request, scope) => {
    const bearer = bearerOf(request.headers.authorization)
    if (bearer === undefined) throw unauthenticated('missing_token', 'This needs an access token')
    const token = await verify(bearer).catch((cause: unknown) => {
      if (cause instanceof AppError && cause.kind === 'denied') {
        throw unauthenticated(cause.code, cause.message)
      }
      throw cause
    })
    const scopes = new Set(token.scopes)
    if (!scopes.has(scope)) {
      throw denied('insufficient_scope', `This needs scope ${scope}`, {
        next: 'Ask for a token with that scope.',
        http: {
          headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
        },
      })
    }
    return { clientId: token.clientId, scopes }
  }
}

const unauthenticated = (code: string, message: string) =>
  denied(code, message, {
    next: 'Send Authorization: Bearer with a valid access token.',
    http: { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } },
  })

/**
 * An order of another client looks like no order at all, unless the caller may see all.
 *
 * @throws missing `no_such_order`.
 */
export function assertMayTouch(caller: Caller, order: { clientId: string }, all: string): void {
  if (order.clientId === caller.clientId || caller.scopes.has(all)) return
  throw missing('no_such_order', 'There is no such order', {
    next: 'Check the id; GET /orders lists yours.',
  })
}
