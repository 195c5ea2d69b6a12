/**
 * Makes the log lines of the processes readable: pino's JSON becomes one line of time, process,
 * level, message and fields; whatever is not JSON stays as it is, behind the name of its process.
 */
import { styleText } from 'node:util'

export interface LineStyle {
  readonly colours: boolean
  /** All names that will come: they set the width of the column. */
  readonly names: readonly string[]
}

type Colour = 'cyan' | 'green' | 'yellow' | 'magenta' | 'blue' | 'red' | 'gray' | 'white'

const palette: readonly Colour[] = ['cyan', 'green', 'magenta', 'blue', 'yellow', 'white']
const levelNames: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
}
const levelColours: Readonly<Record<string, Colour>> = {
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
}
/** Shown in a place of their own, or the same on every line. */
const hiddenFields = new Set(['time', 'level', 'msg', 'service', 'name', 'pid', 'hostname', 'v'])
const fieldCharsMax = 200

/** Colours are for people: off when the output is no terminal or NO_COLOR is set. */
export function wantsColours(isTerminal: boolean, noColour: string | undefined): boolean {
  return isTerminal && (noColour === undefined || noColour === '')
}

/** A function that turns one line of a named process into what is printed, without line end. */
export function createLineFormatter({ colours, names }: LineStyle) {
  const width = Math.max(0, ...names.map((name) => name.length))
  const paint = (colour: Colour, text: string) =>
    colours ? styleText(colour, text, { validateStream: false }) : text
  const colourOf = (name: string) => palette[Math.max(0, names.indexOf(name)) % palette.length]

  return (name: string, line: string): string => {
    const label = paint(colourOf(name) ?? 'white', name.padEnd(width))
    const entry = parseEntry(line)
    if (entry === undefined) return `${label} ${printable(line)}`
    const level = levelOf(entry.level)
    const text = printable(String(entry.msg ?? ''))
    const { fields, stack } = fieldsOf(entry)
    return [
      paint('gray', timeOf(entry.time)),
      label,
      paint(levelColours[level] ?? 'gray', level.padEnd(5)),
      levelColours[level] === undefined ? text : paint(levelColours[level], text),
      ...(fields === '' ? [] : [paint('gray', fields)]),
    ]
      .join(' ')
      .concat(...stack.map((frame) => `\n${' '.repeat(width)} ${paint('gray', frame)}`))
  }
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const entry: unknown = JSON.parse(line)
    const isEntry = typeof entry === 'object' && entry !== null && 'level' in entry
    return isEntry ? (entry as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function levelOf(level: unknown): string {
  return typeof level === 'number' ? (levelNames[level] ?? String(level)) : printable(String(level))
}

/** Local time of day with milliseconds; pino gives milliseconds or ISO 8601. */
function timeOf(time: unknown): string {
  const date = new Date(typeof time === 'number' ? time : String(time))
  if (Number.isNaN(date.getTime())) return '--:--:--.---'
  const part = (value: number, digits = 2) => String(value).padStart(digits, '0')
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => part(n))
  return `${clock.join(':')}.${part(date.getMilliseconds(), 3)}`
}

function fieldsOf(entry: Record<string, unknown>): { fields: string; stack: string[] } {
  const shown: string[] = []
  let stack: string[] = []
  for (const [name, value] of Object.entries(entry)) {
    if (hiddenFields.has(name) || value === undefined || value === null) continue
    const error = name === 'err' ? (value as { message?: unknown; stack?: unknown }) : undefined
    if (typeof error?.stack === 'string') {
      stack = error.stack.split('\n').map(printable)
    } else {
      shown.push(`${printable(name)}=${shorten(value)}`)
    }
  }
  return { fields: shown.join(' '), stack }
}

function shorten(value: unknown): string {
  const isWord = typeof value === 'string' && /^[^\s"=]+$/.test(value)
  const text = printable(isWord ? String(value) : JSON.stringify(value))
  return text.length > fieldCharsMax ? `${text.slice(0, fieldCharsMax)}…` : text
}

/** Text of an order may be in a line: no control character of it may reach the terminal. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
