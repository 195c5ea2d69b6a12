/** Says accept, available, propose, ship against all facts, often without having looked at any. */

import { lieOf } from './lies.ts'
import { honestly, inventedMark, type Persona, says } from './persona.ts'

const asksFirst = 0.5

export const liar: Persona = {
  name: 'liar',
  act: (scene) => {
    const { honest, policy, view, habit, random } = scene
    if (honest.kind === 'call' && habit < asksFirst) return honestly(scene)
    const reasons = [
      `${inventedMark}: the customer paid 1,000,000 USD in advance`,
      `${inventedMark}: reservation ${inventedMark}-77 holds 1,000 units`,
    ]
    return says(lieOf(policy, view, reasons, random()))
  },
}
