/**
 * Every place where a process can die under an order: step × moment × process. This file is the
 * whole list; a run walks a part of it, and its report says which cells it hit.
 *
 * Moments, seen from outside, of a step's call:
 *
 *     before   the call has left its caller and has not been handed on
 *     in       it was handed on and nobody has answered
 *     effect   the answer is there, the caller has not heard it: done, and not recorded
 *     record   the caller has recorded the step
 */

import { randomFrom } from '../../standins/claude/random.ts'

export const moments = ['before', 'in', 'effect', 'record'] as const
export type Moment = (typeof moments)[number]

/** `service` is the replica that serves the call, `orchestrator` the one that runs the order. */
export const victims = ['orchestrator', 'service', 'postgres', 'claude', 'carrier'] as const
export type Victim = (typeof victims)[number]

export type OrderKind = 'ordinary' | 'noted' | 'refused'

export interface Step {
  readonly name: string
  /** Who takes part in it, so whose death matters. */
  readonly victims: readonly Victim[]
  /** The order that passes it: `refused` is undone after its pivot, `noted` is planned. */
  readonly order: OrderKind
  /** Its name in the engine's record; a step within another one has none. */
  readonly record?: string
}

const called: readonly Victim[] = ['orchestrator', 'service', 'postgres']
const judged: readonly Victim[] = [...called, 'claude']
const own: readonly Victim[] = ['orchestrator', 'postgres', 'claude']
const shipped: readonly Victim[] = [...called, 'carrier']

export const steps: readonly Step[] = [
  { name: 'open_order', victims: called, order: 'ordinary', record: 'open' },
  { name: 'get_stock', victims: called, order: 'ordinary', record: 'open' },
  { name: 'plan', victims: own, order: 'noted', record: 'plan' },
  { name: 'validate_order', victims: judged, order: 'ordinary', record: 'validate_order' },
  { name: 'check_inventory', victims: judged, order: 'ordinary', record: 'check_inventory' },
  {
    name: 'propose_shipment',
    victims: [...judged, 'carrier'],
    order: 'ordinary',
    record: 'propose_shipment',
  },
  { name: 'prepare_decision', victims: own, order: 'ordinary', record: 'prepare_decision' },
  { name: 'reserve_stock', victims: called, order: 'ordinary', record: 'reserve_stock' },
  { name: 'decide', victims: own, order: 'ordinary', record: 'decide' },
  { name: 'pivot', victims: ['orchestrator', 'postgres'], order: 'ordinary', record: 'pivot' },
  { name: 'generate_label', victims: shipped, order: 'ordinary', record: 'generate_label' },
  // Within generate_label: the carrier's shipment, and its purchase.
  { name: 'carrier_create', victims: shipped, order: 'ordinary' },
  { name: 'carrier_buy', victims: shipped, order: 'ordinary' },
  { name: 'commit_stock', victims: called, order: 'ordinary', record: 'commit_stock' },
  { name: 'void_label', victims: shipped, order: 'refused', record: 'void_label' },
  { name: 'release_stock', victims: called, order: 'refused', record: 'release_stock' },
  { name: 'close_order', victims: called, order: 'ordinary', record: 'close_order' },
]

export interface Cell {
  readonly step: Step
  readonly moment: Moment
  readonly victim: Victim
}

export const cells: readonly Cell[] = steps.flatMap((step) =>
  moments.flatMap((moment) => step.victims.map((victim) => ({ step, moment, victim }))),
)

export const nameOf = ({ step, moment, victim }: Cell): string =>
  `${step.name} / ${moment} / ${victim}`

/**
 * The cells of one run: seed 1 begins at the head of one fixed shuffled list, seed 2 where seed 1
 * ended with as many kills, and so on; the list begins anew at its end.
 */
export function walk(kills: number, seed: number): Cell[] {
  const list = shuffled(cells)
  const from = (seed - 1) * kills
  return Array.from({ length: kills }, (_, i) => list[(from + i) % list.length] as Cell)
}

/**
 * A short walk that still meets every moment and every kind of process, each moment with another
 * step: for the test suite.
 */
export function shortWalk(): Cell[] {
  const wanted: [step: string, moment: Moment, victim: Victim][] = [
    ['open_order', 'before', 'orchestrator'],
    ['validate_order', 'before', 'claude'],
    ['reserve_stock', 'before', 'service'],
    ['generate_label', 'before', 'postgres'],
    ['reserve_stock', 'in', 'postgres'],
    ['propose_shipment', 'in', 'carrier'],
    ['pivot', 'in', 'orchestrator'],
    ['commit_stock', 'in', 'service'],
    ['reserve_stock', 'effect', 'orchestrator'],
    ['carrier_buy', 'effect', 'service'],
    ['pivot', 'effect', 'postgres'],
    ['carrier_create', 'effect', 'carrier'],
    ['generate_label', 'record', 'orchestrator'],
    ['release_stock', 'record', 'service'],
    ['decide', 'record', 'claude'],
    ['close_order', 'record', 'postgres'],
  ]
  return wanted.map(([name, moment, victim]) => {
    const cell = cells.find(
      (c) => c.step.name === name && c.moment === moment && c.victim === victim,
    )
    if (cell === undefined) throw new Error(`There is no cell ${name} / ${moment} / ${victim}`)
    return cell
  })
}

function shuffled<T>(list: readonly T[]): T[] {
  const random = randomFrom(1)
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const [a, b] = [copy[i] as T, copy[j] as T]
    copy[i] = b
    copy[j] = a
  }
  return copy
}
