/**
 * The prompt as one line of blocks, tools then system then messages, with a running hash.
 *
 * Equal hashes mean equal prompts up to that block. Cache marks are left out of the hash, since
 * moving a breakpoint does not change the prompt. Each block is serialised and hashed once.
 */

import { hash } from 'node:crypto'
import { invalidRequest } from './api-error.ts'
import { contextTokensMax } from './models.ts'
import type { CountRequest } from './request-shape.ts'
import { blocksOf } from './turns.ts'

const bytesPerToken = 3.2
const breakpointsMax = 4
/** Claude Code's first system block: it differs on every request and is not part of the prompt. */
const billingHeader = 'x-anthropic-billing-header'

export type Ttl = '5m' | '1h'
type PrefixBlock = {
  /** Hash of everything up to and including this block. */
  readonly hash: string
  /** Tokens up to and including this block. */
  readonly tokens: number
  readonly breakpoint: Ttl | null
  readonly section: 'tools' | 'system' | 'messages'
}
export type PromptPrefix = {
  readonly blocks: readonly PrefixBlock[]
  /** By message index: hash of the prompt before that message. */
  readonly hashBefore: readonly string[]
  readonly hash: string
  readonly tokens: number
}

type Mark = { readonly ttl?: Ttl | undefined } | null | undefined
type Markable = { readonly cache_control?: Mark } & Record<string, unknown>

/** Tokens of a text of this many bytes: a rough rule, not Claude's tokenizer. */
export function tokensOf(bytes: number): number {
  return Math.ceil(bytes / bytesPerToken)
}

/**
 * Reads the prompt of a request. Throws 400 for more than 4 breakpoints, a 1-hour mark after a
 * 5-minute one, and prompts beyond the context window.
 */
export function readPrefix(request: CountRequest): PromptPrefix {
  const blocks: PrefixBlock[] = []
  const hashBefore: string[] = []
  let state = ''
  let bytes = 0
  const add = (section: PrefixBlock['section'], role: string, block: Markable) => {
    const { cache_control: mark, ...content } = block
    const json = JSON.stringify(mark === undefined ? block : content)
    state = hash('sha1', `${state}${role}${json}`, 'base64url')
    bytes += Buffer.byteLength(json)
    blocks.push({ hash: state, tokens: tokensOf(bytes), breakpoint: ttlOf(mark), section })
  }

  for (const tool of request.tools ?? []) add('tools', 'tool', tool)
  for (const block of systemOf(request.system)) add('system', 'system', block)
  for (const message of request.messages) {
    hashBefore.push(state)
    for (const block of blocksOf(message.content)) add('messages', message.role, block)
  }

  const marked = markLast(blocks, request.cache_control)
  checkBreakpoints(marked)
  const tokens = tokensOf(bytes)
  if (tokens > contextTokensMax) {
    throw invalidRequest(`prompt is too long: ${tokens} tokens > ${contextTokensMax} maximum`)
  }
  return { blocks: marked, hashBefore, hash: state, tokens }
}

function systemOf(system: CountRequest['system']): readonly Markable[] {
  if (system === undefined || system === '') return []
  if (typeof system === 'string') return [{ type: 'text', text: system }]
  return system.filter((block) => !block.text.startsWith(billingHeader))
}

function ttlOf(mark: Mark): Ttl | null {
  return mark == null ? null : (mark.ttl ?? '5m')
}

/** A top-level mark is a breakpoint on the last block, unless the client put one there. */
function markLast(blocks: PrefixBlock[], mark: Mark): readonly PrefixBlock[] {
  const last = blocks.at(-1)
  const breakpoint = ttlOf(mark)
  if (last === undefined || breakpoint === null || last.breakpoint !== null) return blocks
  return [...blocks.slice(0, -1), { ...last, breakpoint }]
}

function checkBreakpoints(blocks: readonly PrefixBlock[]): void {
  const ttls = blocks.flatMap(({ breakpoint }) => breakpoint ?? [])
  if (ttls.length > breakpointsMax) {
    throw invalidRequest(
      `A maximum of ${breakpointsMax} blocks with cache_control may be provided. Found ${ttls.length}.`,
    )
  }
  if (ttls.lastIndexOf('1h') > ttls.indexOf('5m') && ttls.includes('5m')) {
    throw invalidRequest('cache_control: a ttl="1h" block must not come after a ttl="5m" block')
  }
}
