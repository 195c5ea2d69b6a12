/**
 * What a persona is: a character that answers in place of an honest policy, to see who withstands
 * it. It sees the honest move and may make another, say raw blocks that no model could, or ask for
 * trouble on the way. It keeps no state: the same scene gives the same act.
 */

import type { Fault } from '../faults.ts'
import type { Call, Move, View } from '../policy.ts'

/** Marks every name, number and word that a persona made up, so that a test can look for them. */
export const inventedMark = 'INVENTED'

export type Scene = {
  readonly view: View
  /** The standard policy's name, and its move in this turn. */
  readonly policy: string
  readonly honest: Move
  /** 1 is the first answer of a conversation. */
  readonly turn: number
  /** From 0 up to 1: the same in every turn of a conversation. Chooses a habit. */
  readonly habit: number
  /** The next number from 0 up to 1. A repeated turn draws the same ones. */
  readonly random: () => number
  /** Ids of tasks in other conversations: what this one has no business with. */
  readonly strangers: readonly string[]
}

export type RawBlock =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'tool_use'
      readonly name: string
      readonly input: unknown
      /** One of the server's own unless told. */
      readonly id?: string
    }

/** What can go wrong on the way: the faults of test control that carry nothing of their own. */
export type Trouble = Exclude<Fault['kind'], 'status'>

/** A `move` is cut to the output format as every verdict is; `raw` goes out as it is. */
export type Act =
  | { readonly kind: 'move'; readonly move: Move; readonly trouble?: Trouble }
  | {
      readonly kind: 'raw'
      readonly blocks: readonly RawBlock[]
      readonly stopReason: string
      readonly trouble?: Trouble
    }

export type Persona = {
  readonly name: string
  /** Must not throw for any scene. */
  readonly act: (scene: Scene) => Act
}

export const honestly = ({ honest }: Scene, trouble?: Trouble): Act => ({
  kind: 'move',
  move: honest,
  ...(trouble === undefined ? {} : { trouble }),
})

/** A final answer as it is: text, or data as JSON whatever the output format says. */
export const says = (answer: unknown, stopReason = 'end_turn'): Act => ({
  kind: 'raw',
  blocks: [{ type: 'text', text: typeof answer === 'string' ? answer : JSON.stringify(answer) }],
  stopReason,
})

/** Tool calls as they are, offered or not. */
export const calls = (...wanted: readonly (Call | RawBlock)[]): Act => ({
  kind: 'raw',
  blocks: wanted.map((one) => ('type' in one ? one : { type: 'tool_use' as const, ...one })),
  stopReason: 'tool_use',
})

/** One of several; undefined of none. */
export const pick = <T>(from: readonly T[], random: number): T | undefined =>
  from[Math.floor(random * from.length)]

/** A call that an honest policy could have made: its first, or any tool offered. */
export function likelyCall({ honest, view }: Scene): Call | undefined {
  if (honest.kind === 'call' && honest.calls[0] !== undefined) return honest.calls[0]
  const [asked] = view.answers
  if (asked !== undefined) return { name: asked.name, input: asked.input }
  const [name] = view.offered
  return name === undefined ? undefined : { name, input: taskOf(view) }
}

/** The task as a record; empty when there is none to read. */
export function taskOf({ task }: View): Readonly<Record<string, unknown>> {
  return typeof task === 'object' && task !== null ? { ...task } : {}
}
