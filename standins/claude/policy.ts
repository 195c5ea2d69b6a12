/**
 * What a policy is: rules that stand where a model would think.
 *
 * A policy sees what a model would see (the task, the tools offered to it, their answers so far)
 * and returns one move. It keeps no state between turns: everything is read from the conversation.
 */

import type { z } from 'zod'

export type Call = { readonly name: string; readonly input: Readonly<Record<string, unknown>> }

export type Move =
  | { readonly kind: 'call'; readonly thought: string; readonly calls: readonly Call[] }
  | { readonly kind: 'verdict'; readonly verdict: Readonly<Record<string, unknown>> }
  | { readonly kind: 'say'; readonly text: string }

/** One tool call of the conversation and what came back: its text, and whether it was an error. */
export type Answer = Call & { readonly text: string; readonly isError: boolean }

export type View = {
  /** Tools that may be called in this turn. */
  readonly offered: ReadonlySet<string>
  /** The JSON between `<task>` and `</task>` of the first message, or null. */
  readonly task: unknown
  readonly answers: readonly Answer[]
}

export type Policy = {
  readonly name: string
  /** The tools it knows: how it is recognised, and all it would ever call. */
  readonly tools: readonly string[]
  /** The fields of its verdict: they decide between two policies that know the offered tools equally. */
  readonly verdictFields: readonly string[]
  /** Must not throw for any view. */
  readonly move: (view: View) => Move
}

/** A tool's answer as data, or why there is none. `absent`: the tool was never asked. */
export type Fact<T> =
  | { readonly state: 'known'; readonly value: T }
  | { readonly state: 'failed'; readonly why: string }
  | { readonly state: 'absent' }

const reasonsMax = 8
const reasonCharsMax = 300

/** The calls still to be made: offered, and not answered yet with this very input. */
export function openCalls(view: View, wanted: readonly Call[]): readonly Call[] {
  return wanted.filter(
    (call) => view.offered.has(call.name) && findAnswer(view, call) === undefined,
  )
}

/** Reads the answer to one call as JSON of a shape. Tool errors and unreadable answers are `failed`. */
export function readFact<T>(view: View, call: Call, shape: z.ZodType<T>): Fact<T> {
  const answer = findAnswer(view, call)
  if (answer === undefined) return { state: 'absent' }
  if (answer.isError) return { state: 'failed', why: `${call.name} failed: ${answer.text}` }
  const parsed = shape.safeParse(parseJson(answer.text))
  if (parsed.success) return { state: 'known', value: parsed.data }
  return { state: 'failed', why: `The answer of ${call.name} could not be read` }
}

/** What went wrong among these facts, as reasons. */
export function failures(...facts: readonly Fact<unknown>[]): string[] {
  return facts.flatMap((fact) => (fact.state === 'failed' ? [fact.why] : []))
}

/** The value of a fact, or undefined. */
export function knownValue<T>(fact: Fact<T>): T | undefined {
  return fact.state === 'known' ? fact.value : undefined
}

/** Reasons within the contract's limits: at most 8, of at most 300 characters, none twice. */
export function reasonList(reasons: readonly string[]): string[] {
  return [...new Set(reasons)].slice(0, reasonsMax).map((reason) => reason.slice(0, reasonCharsMax))
}

/** JSON text as data; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function findAnswer(view: View, call: Call): Answer | undefined {
  const input = JSON.stringify(call.input)
  return view.answers.find(
    (answer) => answer.name === call.name && JSON.stringify(answer.input) === input,
  )
}
