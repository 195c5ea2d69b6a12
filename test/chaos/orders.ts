/** The orders of a run: a seeded mix that ends in every outcome there is. */
import { randomFrom } from '../../standins/claude/random.ts'
import type { Submission } from './ledger.ts'

const john = { name: 'John Doe' }
const mugs = (quantity: number) => [{ sku: 'ABC123', quantity }]
/** The carrier stand-in quotes for it and sells no postage: the label is refused after the pivot. */
const refusedAddress = {
  ...{ name: 'John Doe', street1: '1 REFUSED Street', city: 'Springfield' },
  ...{ region: 'IL', postalCode: '62701', country: 'US' },
}

type Make = (random: () => number) => Omit<Submission, 'kind'>

/** How often each kind comes, and what it is. */
const kinds: Readonly<Record<string, readonly [weight: number, make: Make]>> = {
  ordinary: [
    44,
    (random) => ({
      body: { sku: 'ABC123', qty: 1 + Math.floor(random() * 5), customer: 'John Doe' },
    }),
  ],
  noted: [8, () => ({ body: { lines: mugs(1), customer: john, note: 'Please ring twice.' } })],
  refused: [6, () => ({ body: { lines: mugs(2), customer: john, shipTo: refusedAddress } })],
  foreign: [6, () => ({ body: { sku: 'DEF457', qty: 1, customer: 'Max Mustermann' } })],
  two_lines: [
    6,
    () => ({
      body: { lines: [...mugs(1), { sku: 'DEF457', quantity: 1 }], customer: john },
    }),
  ],
  scarce: [6, () => ({ body: { sku: 'PQR678', qty: 1, customer: 'John Doe' } })],
  short: [5, () => ({ body: { sku: 'GHI789', qty: 1, customer: 'John Doe' } })],
  half_short: [
    3,
    () => ({ body: { lines: [...mugs(1), { sku: 'DEF456', quantity: 5 }], customer: john } }),
  ],
  discontinued: [3, () => ({ body: { sku: 'JKL012', qty: 1, customer: 'John Doe' } })],
  blocked: [3, () => ({ body: { sku: 'ABC123', qty: 1, customer: 'Jane Roe' } })],
  heavy: [3, () => ({ body: { sku: 'MNO345', qty: 1, customer: 'John Doe' } })],
  cancelled: [7, () => ({ body: { sku: 'ABC123', qty: 2, customer: 'John Doe' }, cancels: true })],
}

/** An order of one kind. */
export function orderOf(kind: string, random: () => number): Submission {
  const made = kinds[kind]
  if (made === undefined) throw new Error(`There is no kind of order ${kind}`)
  return { kind, ...made[1](random) }
}

/** An endless seeded mix. */
export function orderMix(seed: number): () => Submission {
  const random = randomFrom(seed)
  const total = Object.values(kinds).reduce((sum, [weight]) => sum + weight, 0)
  return () => {
    let left = random() * total
    for (const [kind, [weight]] of Object.entries(kinds)) {
      left -= weight
      if (left < 0) return orderOf(kind, random)
    }
    return orderOf('ordinary', random)
  }
}
