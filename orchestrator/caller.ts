/** Who asks: the client behind a request, and what it may do. */
import type { FastifyRequest } from 'fastify'
import type { VerifiedToken } from '../platform/access-tokens.ts'
import { assertBound, assertScope } from '../platform/authority.ts'
import { denied, named } from '../platform/errors.ts'
import type { Identify } from '../platform/identify.ts'
import type { CallContext } from '../platform/tool.ts'
import { noSuchOrder } from './order-store.ts'

export interface Caller {
  readonly clientId: string
  readonly scopes: ReadonlySet<string>
}

export type Authenticate = (request: FastifyRequest, scope: string) => Promise<Caller>

/** Every scope of the orchestrator's own tools and routes, with what it lets a client do. */
export const orderScopes = {
  'orders:submit': 'order',
  'orders:read': 'see its own orders',
  'orders:read:all': 'see the orders of every client',
  'orders:cancel': 'cancel its own orders',
  'orders:cancel:all': 'cancel the orders of every client',
  'orders:approve': 'approve, edit or reject its own held orders',
  'orders:approve:all': 'approve, edit or reject the held orders of every client',
  'orders:resume': 'send its own stuck orders on',
  'orders:resume:all': 'send the stuck orders of every client on',
} as const

/** With `AUTH=off` everybody on this machine is one client that may do everything. */
const localToken: VerifiedToken = {
  clientId: 'local',
  scopes: Object.keys(orderScopes),
  expiresAt: Number.POSITIVE_INFINITY,
  jti: 'local',
}

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']

/**
 * Asks for no token, so it asks who speaks instead: a page that a browser on this machine shows can
 * send requests here too, under its own name in `Host` (DNS rebinding) or `Origin`. Loopback names
 * and the host of `publicUrl` are let in, on any port.
 *
 * @throws denied `foreign_host`, `foreign_origin` (403).
 */
export function identifyLocally(publicUrl: string): Identify {
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
    return localToken
  }
}

/**
 * What the routes ask: who is it, and may it do this at all. `onRefused` hears of what a token is not
 * good for; what it is itself, `identify` has counted.
 *
 * @throws what `identify` throws; denied `insufficient_scope` (403), `order_not_bound` (403).
 */
export const authenticateBy =
  (identify: Identify, onRefused: (code: string) => void = () => {}): Authenticate =>
  async (request, scope) => {
    const token = await identify(request)
    const needs = { scope, bound: 'none' } as const
    try {
      assertScope(token, needs)
      assertBound(token, needs, undefined)
    } catch (cause) {
      onRefused(named(cause).code)
      throw cause
    }
    return callerOf(token)
  }

export const callerOf = ({
  clientId,
  scopes,
}: Pick<CallContext, 'clientId' | 'scopes'>): Caller => ({
  clientId,
  scopes: new Set(scopes),
})

/**
 * An order of another client looks like no order at all, unless the caller may see all.
 *
 * @throws missing `no_such_order`.
 */
export function assertMayTouch(caller: Caller, order: { clientId: string }, all: string): void {
  if (order.clientId === caller.clientId || caller.scopes.has(all)) return
  throw noSuchOrder()
}
