/** Spans of SQL statements: only within a span that is being recorded, and never with a value. */
import { attribute } from './trace-attributes.ts'
import { codeOf, isRecorded, openSpan, type Span } from './tracing.ts'

interface Summary {
  readonly operation: string
  readonly name: string
  readonly text: string
}

/** Statement texts are few and fixed; those beyond are summed up anew each time. */
const summariesMax = 500
const summaries = new Map<string, Summary>()
const firstTable = /\b(?:from|into|update|join)\s+([a-z_]+(?:\.[a-z_]+)?)/i

/** Begins the span of one statement; end it by `endSql`. */
export function openSql(statement: unknown, database: string | undefined): Span | undefined {
  if (!isRecorded()) return undefined
  const text = typeof statement === 'string' ? statement : textOf(statement)
  if (text === undefined) return undefined
  const summary = summaryOf(text)
  const attributes = {
    [attribute.dbSystem]: 'postgresql',
    [attribute.dbNamespace]: database,
    [attribute.dbOperation]: summary.operation,
    [attribute.dbQuery]: summary.text,
  }
  return openSpan(summary.name, attributes, { kind: 'client' })
}

export function endSql(span: Span, error: unknown): void {
  if (error !== undefined && error !== null) span.fail(codeOf(error))
  span.end()
}

const textOf = (statement: unknown): string | undefined => {
  const { text } = (statement ?? {}) as { text?: unknown }
  return typeof text === 'string' ? text : undefined
}

function summaryOf(text: string): Summary {
  const known = summaries.get(text)
  if (known !== undefined) return known
  const line = text.replaceAll(/\s+/g, ' ').trim()
  const operation = (/^[a-z]+/i.exec(line)?.[0] ?? 'sql').toUpperCase()
  const table = firstTable.exec(line)?.[1]
  const name = table === undefined ? operation : `${operation} ${table}`
  const summary = { operation, name, text: line }
  if (summaries.size < summariesMax) summaries.set(text, summary)
  return summary
}
