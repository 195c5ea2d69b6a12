/** Enums in what a model says: the API does not promise their case. */
import { z } from 'zod'

/** Accepts the values in any case and gives them in lower case. */
export const anyCase = <const V extends readonly string[]>(values: V) =>
  z.preprocess((said) => (typeof said === 'string' ? said.toLowerCase() : said), z.enum(values))
