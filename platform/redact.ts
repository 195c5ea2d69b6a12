/**
 * Arguments as logs and operators may see them: shapes, numbers and ids, not words. A text is hidden
 * unless it is a UUID or its contract says that the field is plain.
 */
import { isUuid } from './uuid.ts'

const depthMax = 6
const entriesMax = 20
const plainCharactersMax = 64
const bytesMax = 4_096

/** A copy that holds nothing personal; at most 4 KiB of JSON. `plain` names fields to keep. */
export function redactArguments(value: unknown, plain: readonly string[] = []): unknown {
  const redacted = redact(value, new Set(plain), false, 0)
  const bytes = Buffer.byteLength(JSON.stringify(redacted) ?? '')
  return bytes <= bytesMax ? redacted : `[${bytes} bytes]`
}

function redact(value: unknown, plain: Set<string>, isPlain: boolean, depth: number): unknown {
  if (typeof value === 'string') return redactText(value, isPlain)
  if (typeof value !== 'object' || value === null) return value
  if (depth === depthMax) return '[deeper]'
  if (Array.isArray(value)) {
    const kept = value.slice(0, entriesMax).map((v) => redact(v, plain, isPlain, depth + 1))
    return value.length > entriesMax ? [...kept, `[${value.length - entriesMax} more]`] : kept
  }
  const entries = Object.entries(value).slice(0, entriesMax)
  return Object.fromEntries(
    entries.map(([name, v]) => [
      name.slice(0, plainCharactersMax),
      redact(v, plain, plain.has(name), depth + 1),
    ]),
  )
}

function redactText(text: string, isPlain: boolean): string {
  if (isUuid(text)) return text
  if (isPlain && /^[\x20-\x7e]*$/.test(text)) return text.slice(0, plainCharactersMax)
  return `[text ${text.length}]`
}
