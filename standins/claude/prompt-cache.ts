/**
 * The prompt cache: which part of a prompt was seen before, so that usage says what live usage would.
 *
 * Entries exist only where a request had a breakpoint, and are found by looking back at most 20
 * blocks from one. Nothing of the prompt is kept: only hashes, least recently used out first.
 */

import type { PromptPrefix, Ttl } from './prompt-prefix.ts'

const cacheableTokensMin = 512
const lookbackBlocks = 20
const ttlMs: Readonly<Record<Ttl, number>> = { '5m': 5 * 60_000, '1h': 60 * 60_000 }

export type CacheScope = {
  /** Whoever shares tools and system: key, model, output format. */
  readonly base: string
  /** Whoever shares messages too: also tool choice and thinking. */
  readonly messages: string
}

export type CacheUse = {
  readonly readTokens: number
  readonly writtenTokens5m: number
  readonly writtenTokens1h: number
  /** Makes the written part readable: call when the answer starts, as a real cache would fill. */
  readonly commit: () => void
}

type Entry = { expiresAt: number; readonly ttl: Ttl }
type Hit = { readonly index: number; readonly tokens: number }

export class PromptCache {
  readonly #entries = new Map<string, Entry>()
  readonly #entriesMax: number
  readonly #now: () => number

  constructor(entriesMax: number, now: () => number) {
    this.#entriesMax = entriesMax
    this.#now = now
  }

  /** What this prompt reads from the cache and would write to it. A read renews what it read. */
  use(prefix: PromptPrefix, scope: CacheScope): CacheUse {
    const { blocks } = prefix
    const keyAt = (index: number): string => {
      const block = blocks[index]
      if (block === undefined) return ''
      return `${block.section === 'messages' ? scope.messages : scope.base}${block.hash}`
    }
    const marks = blocks.flatMap(({ breakpoint, tokens }, index) =>
      breakpoint === null || tokens < cacheableTokensMin
        ? []
        : [{ index, tokens, ttl: breakpoint }],
    )
    const hit = this.#find(marks, keyAt, blocks)
    const fresh = marks.filter(({ index }) => index > hit.index)
    const upTo1h = fresh.findLast(({ ttl }) => ttl === '1h')?.tokens ?? hit.tokens
    const upTo5m = Math.max(upTo1h, fresh.at(-1)?.tokens ?? hit.tokens)
    return {
      readTokens: hit.tokens,
      writtenTokens1h: upTo1h - hit.tokens,
      writtenTokens5m: upTo5m - upTo1h,
      commit: () => {
        for (const { index, ttl } of fresh) this.#store(keyAt(index), ttl)
      },
    }
  }

  #find(
    marks: readonly { readonly index: number }[],
    keyAt: (index: number) => string,
    blocks: PromptPrefix['blocks'],
  ): Hit {
    for (const { index: from } of marks.toReversed()) {
      for (let index = from; index >= 0 && index > from - lookbackBlocks; index--) {
        const tokens = blocks[index]?.tokens ?? 0
        if (tokens >= cacheableTokensMin && this.#renew(keyAt(index))) return { index, tokens }
      }
    }
    return { index: -1, tokens: 0 }
  }

  #renew(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#entries.delete(key)
    if (entry.expiresAt <= this.#now()) return false
    this.#store(key, entry.ttl)
    return true
  }

  #store(key: string, ttl: Ttl): void {
    this.#entries.delete(key) // to become the youngest
    this.#entries.set(key, { expiresAt: this.#now() + ttlMs[ttl], ttl })
    if (this.#entries.size <= this.#entriesMax) return
    const oldest = this.#entries.keys().next()
    if (!oldest.done) this.#entries.delete(oldest.value)
  }
}
