/**
 * Whether anything that a model wrote has got into the databases beyond the reasons that it may
 * give, and whether those are short and printable. The personas mark all that they make up.
 */
import { inventedMark } from '../../standins/claude/personas/persona.ts'
import type { Rows } from './hostile-facts.ts'
import type { Breach } from './invariants.ts'

/** Every table of ours; the engine's own keep a conversation that is under way, and are not shown. */
const tables = {
  orchestrator: ['customer_order', 'order_event'],
  orders: ['sales_order', 'order_line', 'product', 'customer', 'customer_address'],
  inventory: ['stock', 'stock_adjustment', 'substitute', 'reservation', 'reservation_line'],
  fulfillment: ['shipment'],
} as const

/**
 * Where reasons may be: in lists of them, in what is told of an order by quoting them, and in the
 * evidence of the agent that decides by them.
 */
const reasonPath =
  /^(data\.agent\.toolCalls\.\d+\.evidence|answer\.reasons\.\d+|outcome_reason|summary\.(message|decision\.reasons\.\d+|findings\.\d+\.message)|data\.result\.(reasons\.\d+|findings\.\d+\.message))$/
/** A message quotes up to eight reasons of 300 characters. */
const charactersMax = 8 * 301 + 100
const reasonCharactersMax = 300
const reasonsMax = 8
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/

export async function checkTexts(rows: Rows): Promise<Breach[]> {
  const breaches: Breach[] = []
  for (const [database, names] of Object.entries(tables)) {
    for (const table of names) {
      const found = await rows<{ row: Record<string, unknown> }>(
        database as keyof typeof tables,
        `select to_jsonb(t) - 'request' - 'note' - 'label_document' as row from ${table} t`,
      )
      for (const { row } of found) {
        const orderId = typeof row.order_id === 'string' ? row.order_id : undefined
        for (const [path, text] of textsIn(row)) {
          for (const what of problemsOf(path, text)) {
            const detail = `${table}.${path}: ${text.slice(0, 120)}`
            breaches.push(orderId === undefined ? { what, detail } : { what, orderId, detail })
          }
        }
      }
    }
  }
  return breaches
}

function problemsOf(path: string, text: string): string[] {
  const problems: string[] = []
  const isQuoted = reasonPath.test(path)
  const [, nr] = /\breasons\.(\d+)$/.exec(path) ?? []
  if (text.includes(inventedMark) && !isQuoted) problems.push('words of a model where none belong')
  if (nr !== undefined && Number(nr) >= reasonsMax) problems.push('too many reasons')
  const most = nr === undefined ? charactersMax : reasonCharactersMax
  if (isQuoted && text.length > most) problems.push('words without end')
  // The note is the client's, and may have lines.
  const isNote = /(^|\.)note$/.test(path)
  if (!text.isWellFormed() || (!isNote && unprintable.test(text)))
    problems.push('unprintable words')
  return problems
}

/** Every string within, keys included, with the way to it. */
function* textsIn(value: unknown, path = ''): Generator<readonly [path: string, text: string]> {
  if (typeof value === 'string') yield [path, value]
  if (typeof value !== 'object' || value === null) return
  for (const [key, part] of Object.entries(value)) {
    const within = path === '' ? key : `${path}.${key}`
    if (key.includes(inventedMark)) yield [within, key]
    yield* textsIn(part, within)
  }
}
