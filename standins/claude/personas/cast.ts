/**
 * Who plays in which conversation. Drawn from a hash of seed, task, agent and model, so it depends
 * neither on the order of requests nor on who sends them, and holds for the whole conversation; the
 * same task on another model is another conversation.
 */

import { hash } from 'node:crypto'
import { z } from 'zod'
import { randomFrom } from '../random.ts'
import { flooder } from './flooder.ts'
import { garbage } from './garbage.ts'
import { injected } from './injected.ts'
import { liar } from './liar.ts'
import { looper } from './looper.ts'
import { honestly, type Persona, type Scene, taskOf } from './persona.ts'
import { refuser } from './refuser.ts'
import { slow } from './slow.ts'
import { truncator } from './truncator.ts'

const honest: Persona = { name: 'honest', act: (scene) => honestly(scene) }
const players: readonly Persona[] = [
  honest,
  liar,
  injected,
  looper,
  flooder,
  truncator,
  refuser,
  garbage,
  slow,
]

export const personaNames = players.map(({ name }) => name)

const strangersMax = 20
const weight = z.number().min(0).max(1_000_000)

/** Weights by name; who is not named does not play. An empty mix is nobody's: the policies answer. */
export const personaMix = z
  .partialRecord(z.enum(personaNames as [string, ...string[]]), weight)
  .refine(
    (mix) => Object.values(mix).some((share = 0) => share > 0) || Object.keys(mix).length === 0,
    {
      message: 'one weight must be above 0',
    },
  )
export type PersonaMix = z.infer<typeof personaMix>
export const personaSeed = z.int().min(0).max(0xffff_ffff)

/** What a conversation is known by. */
export type Conversation = {
  readonly policy: string
  readonly model: string
  /** The first user message. */
  readonly opening: string
  readonly turn: number
}

export class Cast {
  #mix: readonly (readonly [Persona, number])[] = []
  #seed = 1
  #strangers: string[] = []
  readonly #begun = new Map<string, number>()

  /** Gives out the parts anew. Throws (zod) on an unknown name or a weight out of its limits. */
  set(mix: PersonaMix, seed = 1): void {
    const weights = personaMix.parse(mix)
    this.#seed = personaSeed.parse(seed)
    this.#mix = players.flatMap((player) => {
      const share = weights[player.name] ?? 0
      return share > 0 ? [[player, share] as const] : []
    })
    this.#begun.clear()
  }

  clear(): void {
    this.set({})
  }

  /** `begun`: first turns taken, by persona; a first turn that is asked for again counts again. */
  state(): {
    readonly mix: PersonaMix
    readonly seed: number
    readonly begun: Readonly<Record<string, number>>
  } {
    const mix = Object.fromEntries(this.#mix.map(([player, share]) => [player.name, share]))
    return { mix, seed: this.#seed, begun: Object.fromEntries(this.#begun) }
  }

  /** Who plays in this conversation; undefined while nobody plays. */
  playerOf(conversation: Conversation): Persona | undefined {
    const [first] = this.#mix
    if (first === undefined) return undefined
    const total = this.#mix.reduce((sum, [, share]) => sum + share, 0)
    let left = fraction(this.#keyOf(conversation, 'player')) * total
    let [player] = first
    for (const [candidate, share] of this.#mix) {
      player = candidate
      left -= share
      if (left < 0) break
    }
    if (conversation.turn === 1) {
      this.#begun.set(player.name, (this.#begun.get(player.name) ?? 0) + 1)
    }
    return player
  }

  /** What the player sees. `base` is what the request itself shows. */
  sceneOf(conversation: Conversation, base: Pick<Scene, 'view' | 'honest'>): Scene {
    const { policy, turn } = conversation
    const own = Object.values(taskOf(base.view)).filter((value) => typeof value === 'string')
    const strangers = this.#strangers.filter((id) => !own.includes(id))
    this.#remember(own)
    return {
      ...base,
      policy,
      turn,
      habit: fraction(this.#keyOf(conversation, 'habit')),
      random: randomFrom(numberOf(this.#keyOf(conversation, `turn ${turn}`))),
      strangers: [...strangers, ...guesses],
    }
  }

  #keyOf({ policy, model, opening }: Conversation, what: string): string {
    return JSON.stringify([this.#seed, what, policy, model, opening])
  }

  #remember(ids: readonly string[]): void {
    this.#strangers = [...new Set([...ids, ...this.#strangers])].slice(0, strangersMax)
  }
}

/** Ids that anybody would try. */
const guesses = ['1', 'admin', '00000000-0000-4000-8000-000000000001', '%', "' or 1=1 --"]

const numberOf = (key: string): number => Number.parseInt(hash('sha256', key).slice(0, 8), 16)
const fraction = (key: string): number => numberOf(key) / 0x1_0000_0000
