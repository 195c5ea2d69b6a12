/** Ids that carry the stand-in's mark, unique over restarts: a random part per process and a counter. */

import { randomBytes } from 'node:crypto'

export type Ids = {
  readonly request: () => string
  readonly message: () => string
  readonly toolUse: () => string
}

/** Id makers for one server. Every id begins with `req_standin_`, `msg_standin_` or `toolu_standin_`. */
export function createIds(): Ids {
  const processPart = randomBytes(6).toString('hex')
  let count = 0
  const next = (prefix: string) => `${prefix}_standin_${processPart}${(count++).toString(36)}`
  return {
    request: () => next('req'),
    message: () => next('msg'),
    toolUse: () => next('toolu'),
  }
}
