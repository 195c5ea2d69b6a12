/** Asks the same thing again and again and never comes to a verdict. */

import { calls, likelyCall, type Persona, says } from './persona.ts'

export const looper: Persona = {
  name: 'looper',
  act: (scene) => {
    const call = likelyCall(scene)
    return call === undefined ? says('Let me think about it once more.', 'pause_turn') : calls(call)
  },
}
