/** What an MCP message names, before any server is made for it. Nothing of it was checked yet. */
import type { Needs } from './authority.ts'
import type { Primitives } from './mcp-server.ts'
import { findResource } from './resource.ts'
import type { CallRecord } from './tool-calls.ts'

/** The most resources that one stream may watch. */
export const watchedMax = 100

export interface Message {
  readonly method?: unknown
  readonly params?: {
    readonly name?: unknown
    readonly uri?: unknown
    readonly notifications?: { readonly resourceSubscriptions?: unknown }
  }
}

/** One of our tools, resources or prompts that a message names. */
export interface Asked {
  readonly kind: CallRecord['kind']
  readonly name: string
  readonly needs: Needs
  /** Of the URI of a resource; arguments were not read yet. */
  readonly orderId: string | undefined
}

/** What a message asks for; nothing for lists, which show what the caller may use. */
export function askedBy({ tools, resources, prompts }: Primitives, message: Message): Asked[] {
  const name = text(message.params?.name)
  switch (message.method) {
    case 'tools/call':
      return byName('tool', tools, name)
    case 'prompts/get':
      return byName('prompt', prompts, name)
    case 'resources/read':
      return byUri(resources, text(message.params?.uri))
    case 'subscriptions/listen':
      return watchedBy(message).flatMap((uri) => byUri(resources, uri))
    default:
      return []
  }
}

function byName(
  kind: 'tool' | 'prompt',
  all: readonly { readonly contract: Needs & { readonly name: string } }[],
  name: string,
): Asked[] {
  const found = all.find(({ contract }) => contract.name === name)
  return found === undefined ? [] : [{ kind, name, needs: found.contract, orderId: undefined }]
}

function byUri(resources: Primitives['resources'], uri: string): Asked[] {
  const found = findResource(resources, uri)
  if (found === undefined) return []
  const { contract } = found.resource
  const { orderId } = found.variables
  return [{ kind: 'resource', name: contract.uri, needs: contract, orderId }]
}

/** The tool that a `tools/call` names; undefined for every other message. */
export const toolNamedBy = ({ method, params }: Message): string | undefined =>
  method === 'tools/call' ? text(params?.name) : undefined

/** The URIs that a listener wants to watch: one more than it may, at most. */
export function watchedBy({ method, params }: Message): string[] {
  const uris = params?.notifications?.resourceSubscriptions
  if (method !== 'subscriptions/listen' || !Array.isArray(uris)) return []
  return uris.slice(0, watchedMax + 1).map(text)
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
