/**
 * Faults on order: a bounded queue of things that shall go wrong with the next matching requests.
 *
 * Chance is drawn from a seeded generator, so that a run with the same seed and the same sequence
 * of requests fails in the same places.
 */

import { z } from 'zod'
import { randomFrom } from './random.ts'

const faultsMax = 100
const defaultSeed = 1

/** `chance` below 1 leaves a match alone at random; `times` counts the faults that happened. */
export const faultSchema = z
  .strictObject({
    kind: z.enum([
      'status',
      'cut_stream',
      'stream_error',
      'stall',
      'dribble',
      'max_tokens',
      'refusal',
      'bad_verdict',
      'not_json',
    ]),
    model: z.string().optional().describe('A model id or a line: haiku, sonnet, opus'),
    tools: z.array(z.string()).max(20).optional().describe('All of these tools are offered'),
    turn: z.int().min(1).max(1_000).optional().describe('1 is the first answer of a conversation'),
    times: z.int().min(1).max(10_000).default(1),
    chance: z.number().gt(0).max(1).default(1),
    status: z.int().min(400).max(599).optional(),
    retryAfterSeconds: z.int().min(0).max(3_600).optional().describe('429: 1 unless told'),
  })
  .refine(({ kind, status }) => (kind === 'status') === (status !== undefined), {
    message: "'status' belongs to faults of kind 'status', and to no other",
  })

export type Fault = z.infer<typeof faultSchema>
/** A fault as it is written down: `times` and `chance` are 1 unless told. */
export type FaultIn = z.input<typeof faultSchema>

/** What a fault is matched against. `final`: the answer would end the conversation. */
export type FaultTarget = {
  readonly model: string
  readonly line: string
  readonly tools: ReadonlySet<string>
  readonly turn: number
  readonly final: boolean
  readonly stream: boolean
}

/** Only an answer that has a verdict can have a bad one. */
const finalOnly = new Set<Fault['kind']>(['bad_verdict', 'not_json'])
const streamOnly = new Set<Fault['kind']>(['stream_error', 'dribble'])

export class FaultQueue {
  #faults: Fault[] = []
  #random = randomFrom(defaultSeed)

  /** Adds faults behind the waiting ones. Throws (zod) on a malformed one, RangeError beyond 100. */
  add(faults: readonly FaultIn[]): void {
    const parsed = faults.map((fault) => faultSchema.parse(fault))
    if (this.#faults.length + parsed.length > faultsMax) {
      throw new RangeError(`At most ${faultsMax} faults can wait`)
    }
    this.#faults.push(...parsed)
  }

  /** Starts the random sequence anew. */
  seed(seed: number): void {
    this.#random = randomFrom(seed)
  }

  clear(): void {
    this.#faults = []
  }

  /** What still waits, with the times that are left. */
  waiting(): readonly Fault[] {
    return this.#faults
  }

  /** The first waiting fault that fits and strikes, used up by one; or null. */
  take(target: FaultTarget): Fault | null {
    if (this.#faults.length === 0) return null
    for (const fault of this.#faults) {
      if (!fits(fault, target)) continue
      if (fault.chance < 1 && this.#random() >= fault.chance) continue
      fault.times -= 1
      if (fault.times === 0) this.#faults = this.#faults.filter((other) => other !== fault)
      return fault
    }
    return null
  }
}

function fits(fault: Fault, target: FaultTarget): boolean {
  if (fault.model !== undefined && fault.model !== target.model && fault.model !== target.line)
    return false
  if (fault.turn !== undefined && fault.turn !== target.turn) return false
  if (fault.tools?.some((tool) => !target.tools.has(tool))) return false
  if (streamOnly.has(fault.kind)) return target.stream
  return target.final || !finalOnly.has(fault.kind)
}
