/** What a run has shown, as text: for the terminal and for docs. */
import { moments, steps, type Victim, victims } from './cells.ts'
import type { Books, Breach } from './invariants.ts'
import { takeoverMsMax, type Walked } from './kills.ts'
import type { Ledger } from './ledger.ts'

const letters: Readonly<Record<Victim, string>> = {
  orchestrator: 'O',
  service: 'S',
  postgres: 'P',
  claude: 'C',
  carrier: 'L',
}

/** Which cells were hit: a letter for each process, `-` for one that was not hit in this run. */
export function cellTable({ hits }: Walked): string {
  const times = new Map<string, number>()
  for (const { cell, process } of hits) {
    if (process === undefined) continue
    const key = `${cell.step.name}/${cell.moment}/${cell.victim}`
    times.set(key, (times.get(key) ?? 0) + 1)
  }
  const lines = steps.map((step) => {
    const columns = moments.map((moment) =>
      victims
        .filter((victim) => step.victims.includes(victim))
        .map((victim) => (times.has(`${step.name}/${moment}/${victim}`) ? letters[victim] : '-'))
        .join(''),
    )
    return [step.name.padEnd(17), ...columns.map((column) => column.padEnd(7))].join(' ')
  })
  const head = ['step'.padEnd(17), ...moments.map((moment) => moment.padEnd(7))].join(' ')
  const legend = victims.map((victim) => `${letters[victim]} ${victim}`).join(', ')
  return [`Cells hit (${legend}; - not in this run):`, head, ...lines].join('\n')
}

export function takeoverLine({ takeovers }: Walked): string {
  if (takeovers.length === 0) return 'Takeovers: none'
  const sorted = takeovers.map(({ ms }) => ms).toSorted((a, b) => a - b)
  const runs = takeovers.reduce((sum, takeover) => sum + takeover.runs, 0)
  const median = sorted[Math.floor(sorted.length / 2)]
  return (
    `Takeovers: ${takeovers.length} dead orchestrators, ${runs} runs handed on; ` +
    `median ${median} ms, longest ${sorted.at(-1)} ms (limit ${takeoverMsMax} ms)`
  )
}

export function walkBreaches({ hits, takeovers }: Walked): Breach[] {
  const missed = hits.filter(({ process }) => process === undefined)
  return [
    ...missed.map(({ cell, why }) => ({
      what: 'a cell that was not reached',
      detail: `${cell.step.name} / ${cell.moment} / ${cell.victim}: ${why}`,
    })),
    ...takeovers
      .filter(({ ms }) => ms > takeoverMsMax)
      .map(({ ms, runs }) => ({ what: 'a late takeover', detail: `${runs} runs after ${ms} ms` })),
  ]
}

export function outcomeLines({ counts }: Books, ledger: Ledger): string {
  const { orders = 0, answers = 0, ...outcomes } = counts
  const ends = Object.entries(outcomes).map(([status, n]) => `${n} ${status}`)
  const troubles = [...ledger.troubles]
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, n]) => `${n} × ${what}`)
  return [
    `Orders: ${orders} (${ends.join(', ')}); ${answers} answers given to clients, all compared`,
    `Troubles that clients met and overcame by repeating: ${troubles.slice(0, 8).join(', ') || 'none'}`,
  ].join('\n')
}

const breachesShown = 40

export function breachLines(breaches: readonly Breach[]): string {
  if (breaches.length === 0) return 'Breaches: none'
  const lines = breaches
    .slice(0, breachesShown)
    .map(({ what, orderId, detail }) => `  ${what}${orderId ? ` (${orderId})` : ''}: ${detail}`)
  return [`BREACHES: ${breaches.length}`, ...lines].join('\n')
}
