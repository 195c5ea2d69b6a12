/** Takes longer than anybody waits: a stream that stalls, or one that only ever drips. */

import { honestly, type Persona } from './persona.ts'

const firstTurnToo = 0.5

export const slow: Persona = {
  name: 'slow',
  act: (scene) => {
    const { turn, habit, random } = scene
    if (turn === 1 && habit >= firstTurnToo) return honestly(scene)
    return honestly(scene, random() < 0.5 ? 'stall' : 'dribble')
  },
}
