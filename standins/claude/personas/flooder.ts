/** Too much of everything: calls in one turn, characters in an argument, turns, words in a verdict. */

import { lieOf } from './lies.ts'
import { calls, inventedMark, likelyCall, type Persona, pick, type Scene, says } from './persona.ts'

const callsInOneTurn = 500
const callsInEveryTurn = 5
const giantChars = 200_000
const reasonsInVerdict = 5_000

const giant = `${inventedMark} `.repeat(Math.ceil(giantChars / (inventedMark.length + 1)))

const habits: readonly ((scene: Scene) => ReturnType<Persona['act']>)[] = [
  (scene) => calls(...repeated(scene, callsInOneTurn)),
  (scene) => calls(...repeated(scene, 1).map((call) => ({ ...call, input: giantInput(call) }))),
  (scene) => calls(...repeated(scene, callsInEveryTurn)),
  ({ policy, view }) =>
    says(lieOf(policy, view, Array(reasonsInVerdict).fill(`${inventedMark} words`), 0)),
  ({ policy, view }) => says({ ...lieOf(policy, view, [giant], 0), summary: giant }),
]

export const flooder: Persona = {
  name: 'flooder',
  act: (scene) => pick(habits, scene.habit)?.(scene) ?? says(giant),
}

const repeated = (scene: Scene, times: number) => {
  const { name, input } = likelyCall(scene) ?? { name: 'flood', input: {} }
  return Array.from({ length: times }, () => ({ name, input }))
}

/** Every field as long as it gets, and one more. */
const giantInput = ({ input }: { readonly input: Readonly<Record<string, unknown>> }) => ({
  ...Object.fromEntries(Object.keys(input).map((field) => [field, giant.slice(0, giantChars / 2)])),
  more: giant.slice(0, giantChars / 2),
})
