/**
 * Text as Postgres can hold it. A model may write anything: the character NUL and half of a
 * surrogate pair are valid in a JavaScript string, but neither `text` nor `jsonb` takes them.
 */

/** The same text with U+FFFD in place of what cannot be stored. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\u0000', '\ufffd')

/** JSON for a `jsonb` column. */
export const storableJson = (value: unknown): string =>
  JSON.stringify(value, (_key, part) => (typeof part === 'string' ? storable(part) : part))
