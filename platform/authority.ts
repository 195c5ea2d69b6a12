/**
 * The one place that compares a caller's token with what it asks for: scope, order, single use.
 * Ownership of an order by its client is the orchestrator's (`caller.ts`); it alone knows clients.
 */
import type { VerifiedToken } from './access-tokens.ts'
import { type AppError, denied } from './errors.ts'

/** What a tool, resource or prompt asks of the token of its caller. */
export interface Needs {
  readonly scope: string
  /** `order`: the token's `order_id` must be the order that is touched; `none`: it must have none. */
  readonly bound: 'order' | 'none'
}

export const hasScope = (token: VerifiedToken, { scope }: Needs): boolean =>
  token.scopes.includes(scope)

/** @throws denied `insufficient_scope` (403). */
export function assertScope(token: VerifiedToken, needs: Needs): void {
  if (!hasScope(token, needs)) throw insufficientScope(needs.scope)
}

/** What is answered to a token without `scope`; its challenge names the scope (RFC 6750, 3.1). */
const insufficientScope = (scope: string): AppError =>
  denied('insufficient_scope', `This needs scope ${scope}`, {
    next: 'Ask for a token with that scope.',
    http: {
      headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
    },
  })

/** @throws denied `order_not_bound` (403). */
export function assertBound(token: VerifiedToken, { bound }: Needs, orderId: unknown): void {
  const wanted = bound === 'order' ? orderId : undefined
  if (token.orderId === wanted) return
  throw denied('order_not_bound', 'The access token is not for this order', {
    next: 'Use a token whose order_id is the order that the call names.',
  })
}
