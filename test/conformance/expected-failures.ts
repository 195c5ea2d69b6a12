/** Baselines of the suite, with the reason that each of our entries must have. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Baseline {
  /** For `--expected-failures`. */
  readonly path: string
  /** Scenario, or `scenario:check`, and why it cannot pass here. */
  readonly reasons: ReadonlyMap<string, string>
}

/** Reads `expected-failures.<name>.yml`, where comment lines right above entries say why. */
export function readBaseline(name: string): Baseline {
  const path = join(import.meta.dirname, `expected-failures.${name}.yml`)
  const reasons = new Map<string, string>()
  let words: string[] = []
  let isEntry = false
  for (const line of readFileSync(path, 'utf8')
    .split('\n')
    .map((each) => each.trim())) {
    const [, comment] = /^# ?(.*)$/.exec(line) ?? []
    const [, entry] = /^- (\S+)$/.exec(line) ?? []
    if (comment !== undefined) words = isEntry ? [comment] : [...words, comment]
    else if (entry === undefined) words = []
    if (entry !== undefined) {
      if (words.length === 0) throw new Error(`${path}: ${entry} has no reason`)
      reasons.set(entry, words.join(' '))
    }
    isEntry = entry !== undefined
  }
  return { path, reasons }
}
