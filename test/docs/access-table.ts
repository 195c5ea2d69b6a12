/** The table of docs/security.md that says who may call what, made from the contracts. */
import * as orchestrator from '../../orchestrator/contract.ts'
import type { Needs } from '../../platform/authority.ts'
import * as fulfillment from '../../services/fulfillment/contract.ts'
import * as inventory from '../../services/inventory/contract.ts'
import * as order from '../../services/order/contract.ts'

const servers = { order, inventory, fulfillment, orchestrator }

interface Row extends Needs {
  readonly server: string
  readonly what: string
  readonly writes: boolean
}

/** As Markdown, sorted by server, then by scope. */
export function accessTable(): string {
  const rows = Object.entries(servers).flatMap(([server, contracts]) =>
    Object.values(contracts).flatMap((contract) => rowOf(server, contract)),
  )
  rows.sort(
    (a, b) => compare(a.server, b.server) || compare(a.scope, b.scope) || compare(a.what, b.what),
  )
  const lines = rows.map(
    ({ server, what, scope, bound, writes }) =>
      `| ${server} | ${what} | \`${scope}\` | ${bound === 'order' ? 'its order' : ''} | ${writes ? 'yes' : ''} |`,
  )
  return [
    '| server | tool, resource or prompt | scope | token bound to | writes |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b))

function rowOf(server: string, contract: unknown): Row[] {
  if (typeof contract !== 'object' || contract === null || !('scope' in contract)) return []
  const { name, uri, scope, bound, annotations, title } = contract as Needs & {
    readonly name: string
    readonly uri?: string
    readonly title?: string
    readonly annotations?: { readonly readOnlyHint: boolean }
  }
  const prompt = title === undefined ? '' : ' (prompt)'
  const writes = annotations?.readOnlyHint === false
  return [{ server, what: `\`${uri ?? name}\`${prompt}`, scope, bound, writes }]
}

const begin = '<!-- access table: begin, written by npm run docs -->'
const end = '<!-- access table: end -->'

/** The document with the table as it is now. */
export function withAccessTable(document: string): string {
  const [before, after] = [document.indexOf(begin), document.indexOf(end)]
  if (before < 0 || after < before) throw new Error('The document has no place for the table')
  return `${document.slice(0, before)}${begin}\n\n${accessTable()}\n\n${document.slice(after)}`
}
