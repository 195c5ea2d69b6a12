/** What one server is made of: its settings, and the few things that live between requests. */

import { z } from 'zod'
import { standardPolicies } from './choose-policy.ts'
import { Courier } from './delivery.ts'
import type { FaultIn } from './faults.ts'
import { FaultQueue } from './faults.ts'
import type { Ids } from './ids.ts'
import { createIds } from './ids.ts'
import { Journal } from './journal.ts'
import type { ModelLine } from './models.ts'
import type { PersonaMix } from './personas/cast.ts'
import { Cast } from './personas/cast.ts'
import type { Policy } from './policy.ts'
import { PromptCache } from './prompt-cache.ts'
import type { RateLimits } from './rate-limits.ts'
import { RateLimiter, rateLimitsDefault } from './rate-limits.ts'
import type { ThinkingSeal } from './thinking-rules.ts'
import { createThinkingSeal } from './thinking-rules.ts'

const cacheEntriesMax = 20_000
const latencyMsMax = 120_000

export type ClaudeStandinOptions = {
  /** Milliseconds a turn takes, 0 unless told, at most 120,000. */
  readonly latencyMs?: Partial<Record<ModelLine, number>>
  readonly faults?: readonly FaultIn[]
  /** Where faults with a `chance` draw from. */
  readonly faultSeed?: number
  readonly rateLimits?: Partial<RateLimits>
  /** Policies in place of the standard ones. */
  readonly policies?: readonly Policy[]
  /** Characters that answer in the policies' place; nobody unless told. */
  readonly personas?: { readonly mix: PersonaMix; readonly seed?: number | undefined }
  /** Body bytes, 32 MiB unless told, as with the vendor. */
  readonly bodyBytesMax?: number
  /** pino level; `silent` unless told. */
  readonly logLevel?: string
  /** Servers that share a key accept each other's thinking blocks. */
  readonly signingKey?: string
  /** Milliseconds since 1970: the clock of the cache, the rate limits and the plan policy. */
  readonly now?: () => number
}

export type Standin = {
  readonly ids: Ids
  readonly journal: Journal
  readonly faults: FaultQueue
  readonly cache: PromptCache
  readonly limiter: RateLimiter
  readonly seal: ThinkingSeal
  readonly courier: Courier
  readonly policies: readonly Policy[]
  readonly cast: Cast
  readonly latencyMs: Readonly<Record<ModelLine, number>>
  readonly now: () => number
}

const latency = z.number().min(0).max(latencyMsMax).default(0)
const latencies = z.object({ haiku: latency, sonnet: latency, opus: latency })

/** Builds the parts of one server. Throws (zod) on a latency, a fault or a persona out of its limits. */
export function createStandin(options: ClaudeStandinOptions): Standin {
  const now = options.now ?? Date.now
  const faults = new FaultQueue()
  if (options.faultSeed !== undefined) faults.seed(options.faultSeed)
  faults.add(options.faults ?? [])
  const cast = new Cast()
  if (options.personas !== undefined) cast.set(options.personas.mix, options.personas.seed)
  return {
    ids: createIds(),
    journal: new Journal(),
    faults,
    cache: new PromptCache(cacheEntriesMax, now),
    limiter: new RateLimiter({ ...rateLimitsDefault, ...options.rateLimits }, now),
    seal: createThinkingSeal(options.signingKey ?? 'claude-stand-in'),
    courier: new Courier(),
    policies: options.policies ?? standardPolicies,
    cast,
    latencyMs: latencies.parse(options.latencyMs ?? {}),
    now,
  }
}
