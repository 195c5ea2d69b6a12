/**
 * The rules of stock: which lines are short, what to offer for them, and how far an agent's
 * judgement is followed. Pure functions over facts that the store has read.
 */
import type { z } from 'zod'
import type { AgentFailure } from '../../platform/agent-types.ts'
import { clipReasons } from '../../platform/tool.ts'
import type * as contract from './contract.ts'

export interface Line {
  readonly sku: string
  readonly quantity: number
}
export type ShortLine = Line & { readonly available: number }
export type CheckedLine = Readonly<z.output<typeof contract.checkedLine>>
export type LineFacts = Omit<CheckedLine, 'offer'>
export type Offer = CheckedLine['offer']

export interface StockFact {
  readonly sku: string
  readonly name: string
  readonly available: number
  /** YYYY-MM-DD. */
  readonly restockDate: string | null
}
/** A sku that may be offered instead of `insteadOf`. */
export type SubstituteFact = StockFact & { readonly insteadOf: string }

/** An agent's judgement of an order, as its verdict states it. */
export interface Judgement {
  readonly verdict: 'available' | 'short' | 'review'
  readonly lines: readonly {
    readonly sku: string
    readonly available: boolean
    readonly offer: Offer['kind']
    readonly substituteSku: string | null
  }[]
  readonly reasons: readonly string[]
}

export interface Settled {
  readonly available: boolean
  readonly verdict: Judgement['verdict']
  readonly lines: CheckedLine[]
  readonly reasons: string[]
}

/** One line a sku, quantities added up, in the order of their skus (the lock order). */
export function mergeLines(lines: readonly Line[]): Line[] {
  const quantities = new Map<string, number>()
  for (const { sku, quantity } of lines) {
    quantities.set(sku, (quantities.get(sku) ?? 0) + quantity)
  }
  return Array.from(quantities, ([sku, quantity]) => ({ sku, quantity })).sort(bySku)
}

// By code unit, like the "C" collation of the table: everybody sorts the same way.
const bySku = (a: Line, b: Line): number => (a.sku < b.sku ? -1 : 1)

/** Every line that its units do not cover. A sku that is not stocked has 0. */
export function shortLines(
  lines: readonly Line[],
  available: ReadonlyMap<string, number>,
): ShortLine[] {
  return lines
    .map((line) => ({ ...line, available: available.get(line.sku) ?? 0 }))
    .filter((line) => line.available < line.quantity)
}

/**
 * What is known of every line of an order.
 *
 * Units of a substitute that the same order asks for on a line of its own are not counted twice.
 */
export function lineFacts(
  lines: readonly Line[],
  stock: readonly StockFact[],
  substitutes: readonly SubstituteFact[],
): LineFacts[] {
  const facts = new Map(stock.map((fact) => [fact.sku, fact]))
  const wanted = new Map(lines.map((line) => [line.sku, line.quantity]))
  const free = ({ sku, available }: StockFact) => Math.max(0, available - (wanted.get(sku) ?? 0))

  return lines.map(({ sku, quantity }) => {
    const available = facts.get(sku)?.available ?? 0
    return {
      sku,
      quantity,
      available,
      short: Math.max(0, quantity - available),
      restockDate: facts.get(sku)?.restockDate ?? null,
      substitutes: substitutes
        .filter((substitute) => substitute.insteadOf === sku)
        .map((s) => ({
          sku: s.sku,
          name: s.name,
          available: free(s),
          covers: free(s) >= quantity,
        })),
    }
  })
}

/** The rules' own choice: the best substitute that covers the line, else a part, else waiting. */
export function chooseOffer({ short, available, substitutes }: LineFacts): Offer {
  if (short === 0) return { kind: 'none', substituteSku: null }
  const covering = substitutes.find((substitute) => substitute.covers)
  if (covering !== undefined) return { kind: 'substitute', substituteSku: covering.sku }
  return { kind: available > 0 ? 'part' : 'wait', substituteSku: null }
}

/**
 * Joins the database's numbers with an agent's judgement. Numbers decide whether the order can be
 * served; the agent chooses among true offers and can only add care:
 *
 *     agent says     database covers    database is short
 *     available      available          short, noted
 *     short          review, noted      short
 *     review         review             review
 */
export function settle(facts: readonly LineFacts[], judgement: Judgement): Settled {
  const notes: string[] = []
  const verdict = weigh(facts, judgement, notes)
  const lines = facts.map((line) => ({ ...line, offer: followOffer(line, judgement, notes) }))
  const reasons = clipReasons([...notes, ...judgement.reasons])
  return { available: coversAll(facts), verdict, lines, reasons }
}

/**
 * The rules' own answer, where no agent gave one. A model that refused the task has seen something
 * that a person should see too; any other failure is ours, and the numbers stand.
 */
export function settleByRules(facts: readonly LineFacts[], failure: AgentFailure): Settled {
  const available = coversAll(facts)
  const numbers = available ? 'available' : 'short'
  return {
    available,
    verdict: failure.code === 'refused' ? 'review' : numbers,
    lines: facts.map((line) => ({ ...line, offer: chooseOffer(line) })),
    reasons: clipReasons([`No agent looked at this order, rules did: ${failure.message}.`]),
  }
}

const coversAll = (facts: readonly LineFacts[]): boolean => facts.every((line) => line.short === 0)

function weigh(
  facts: readonly LineFacts[],
  judgement: Judgement,
  notes: string[],
): Judgement['verdict'] {
  const short = facts.filter((line) => line.short > 0).map((line) => line.sku)
  if (judgement.verdict === 'review') return 'review'
  if (short.length > 0) {
    if (judgement.verdict === 'available') {
      notes.push(`The agent called the order available; stock is short of ${short.join(', ')}.`)
    }
    return 'short'
  }
  if (judgement.verdict === 'available' && judgement.lines.every((line) => line.available)) {
    return 'available'
  }
  notes.push('The agent called the order short; stock covers every line.')
  return 'review'
}

function followOffer(line: LineFacts, judgement: Judgement, notes: string[]): Offer {
  const rules = chooseOffer(line)
  const choice = judgement.lines.find((judged) => judged.sku === line.sku)
  // Nothing offered for a short line is no choice: the customer still hears what there is.
  if (line.short === 0 || choice === undefined || choice.offer === 'none') return rules
  if (isTrue(line, choice.offer, choice.substituteSku)) {
    const substituteSku = choice.offer === 'substitute' ? choice.substituteSku : null
    return { kind: choice.offer, substituteSku }
  }
  const what = choice.offer === 'substitute' ? `substitute ${choice.substituteSku}` : choice.offer
  notes.push(`The agent offered ${what} for ${line.sku}; stock does not bear that out.`)
  return rules
}

/** Whether facts bear an offer for a short line: nobody is offered what is not there. */
function isTrue(line: LineFacts, kind: Offer['kind'], substituteSku: string | null): boolean {
  switch (kind) {
    case 'wait':
      return true
    case 'part':
      return line.available > 0
    case 'substitute':
      return line.substitutes.some(({ sku, covers }) => covers && sku === substituteSku)
    case 'none':
      return false
  }
}
