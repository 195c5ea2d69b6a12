/** Who asks: the client behind a request, and what it may do. */
import type { FastifyRequest } from 'fastify'
import type { VerifyToken } from '../platform/access-tokens.ts'
import { AppError, denied, missing } from '../platform/errors.ts'

export interface Caller {
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
}

export type Authenticate = (request: FastifyRequest, scope: string) => Promise<Caller>

/** With `AUTH=off` everybody is one local client that may do everything. Loopback only. */
const localCaller: Caller = {
  clientId: 'local',
  scopes: new Set([
    'orders:submit',
    'orders:read',
    'orders:read:all',
    'orders:cancel',
    'orders:cancel:all',
  ]),
}

export const authenticateLocally: Authenticate = async () => localCaller

/**
 * @throws denied `missing_token` or `invalid_token` (401), `insufficient_scope` (403).
 */
export function authenticateByToken(verify: VerifyToken): Authenticate {
  return async (request, scope) => {
    const bearer = /^Bearer ([A-Za-z0-9._~+/=-]+)$/.exec(request.headers.authorization ?? '')?.[1]
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
