/**
 * What clients other than the orchestrator may be granted, and at which resource.
 *
 * Everything else that a service offers writes an order's effects or spends model tokens on it; such
 * scopes are signed for the orchestrator's own calls and for nobody else.
 */
import { orderScopes } from './caller.ts'

const scopesOf = {
  orchestrator: Object.keys(orderScopes),
  order: ['order:read'],
  inventory: ['inventory:read', 'inventory:admin'],
  fulfillment: ['fulfillment:read'],
} satisfies Record<string, readonly string[]>

export type ResourceName = keyof typeof scopesOf

/** The scopes of one resource that may be granted to outside clients. */
export const outsideScopesOf = (resource: ResourceName): readonly string[] => scopesOf[resource]

/** All of them, in the order of the table above. */
export const outsideScopes: readonly string[] = Object.values(scopesOf).flat()

/** True for a scope that may be granted to an outside client at all. */
export const isOutsideScope = (scope: string): boolean => outsideScopes.includes(scope)
