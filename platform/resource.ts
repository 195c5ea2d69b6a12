/**
 * Resources: what a caller may read and watch by URI. As with tools, a contract says what and who;
 * `implementResource` puts a reader behind it.
 */
import type { z } from 'zod'
import type { Needs } from './authority.ts'
import type { CallContext } from './tool.ts'

export type Variables = Readonly<Record<string, string>>

export interface ResourceContract extends Needs {
  /** Stable and unique on its server. */
  readonly name: string
  /** A URI, or a template with variables of one path segment each: `stock://units/{sku}`. */
  readonly uri: string
  /** What it shows, when to read it, when not. */
  readonly description: string
  /** The variables of the URI; what does not fit names no resource. An order is `orderId`. */
  readonly variables: z.ZodObject
  /** How long a reader may keep what it read. */
  readonly ttlMs: number
}

/** One entry of `resources/list`. */
export interface ListedResource {
  readonly uri: string
  readonly name: string
}

export interface ResourcePage {
  readonly entries: readonly ListedResource[]
  /** Opaque; undefined on the last page. */
  readonly next: string | undefined
}

export interface Resource {
  readonly contract: ResourceContract
  /** @throws missing when there is no such thing, or none that the caller may know of. */
  readonly read: (variables: Variables, context: CallContext) => Promise<object>
  /** Present where what exists can be listed; a template without it is only listed as a template. */
  readonly list?: (cursor: string | undefined, context: CallContext) => Promise<ResourcePage>
}

/** Declares a resource. */
export const defineResource = (contract: ResourceContract): ResourceContract =>
  Object.freeze(contract)

/** Puts a reader behind a contract. Scope and binding are checked before; `read` checks ownership. */
export const implementResource = (
  contract: ResourceContract,
  behind: Omit<Resource, 'contract'>,
): Resource => ({ contract, ...behind })

export const isTemplate = ({ uri }: ResourceContract): boolean => uri.includes('{')

/** The resource that `uri` names, with its variables; undefined when there is none. */
export function findResource<R extends { readonly contract: ResourceContract }>(
  resources: readonly R[],
  uri: string,
): { readonly resource: R; readonly variables: Variables } | undefined {
  for (const resource of resources) {
    const variables = matchUri(resource.contract, uri)
    if (variables !== undefined) return { resource, variables }
  }
  return undefined
}

const uriCharactersMax = 500

function matchUri({ uri: template, variables }: ResourceContract, uri: string) {
  if (uri.length > uriCharactersMax) return undefined
  const pattern = template
    .replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
    .replaceAll(/\{(\w+)\}/g, '(?<$1>[^/?#]+)')
  const match = new RegExp(`^${pattern}$`).exec(uri)
  if (match === null) return undefined
  const parsed = variables.safeParse(decoded(match.groups ?? {}))
  return parsed.success ? (parsed.data as Variables) : undefined
}

function decoded(groups: Record<string, string>): Record<string, string> | undefined {
  try {
    return Object.fromEntries(Object.entries(groups).map(([k, v]) => [k, decodeURIComponent(v)]))
  } catch {
    return undefined // a lone percent sign
  }
}

/** The URI of one thing: `uriOf(stock, { sku: 'A 1' })` is `stock://units/A%201`. */
export const uriOf = ({ uri }: ResourceContract, variables: Variables): string =>
  uri.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(variables[name] ?? ''))
