/** Breaks off: out of tokens in a verdict or a call, or with a stream that ends in the middle. */

import { honestly, type Persona, pick } from './persona.ts'

/** Where it breaks off is drawn anew in every turn, so that some conversations get far. */
const ends = ['max_tokens', 'cut_stream', undefined] as const

export const truncator: Persona = {
  name: 'truncator',
  act: (scene) => honestly(scene, pick(ends, scene.random())),
}
