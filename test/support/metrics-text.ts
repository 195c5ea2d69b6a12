/**
 * Reads what `/metrics` says in either format, and refuses what a scraper would: an independent check
 * by the rules of OpenMetrics 1.0 and of the classic text format 0.0.4.
 */
import assert from 'node:assert/strict'

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Of the exemplar; undefined where there is none. */
  readonly exemplar: Readonly<Record<string, string>> | undefined
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: Sample[]
}

export type Format = 'openmetrics' | 'classic'

const labelPart = '[a-zA-Z_]\\w*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"'
const labelSet = `\\{((?:${labelPart}(?:,${labelPart})*)?)\\}`
const sampleLine = new RegExp(
  `^([a-zA-Z_:][\\w:]*)(?:${labelSet})? (\\S+)(?: # ${labelSet} (\\S+) (\\S+))?$`,
)
const exemplarCharactersMax = 128

const suffixes: Readonly<Record<string, Readonly<Record<Format, readonly string[]>>>> = {
  counter: { openmetrics: ['_total'], classic: [''] },
  gauge: { openmetrics: [''], classic: [''] },
  histogram: {
    openmetrics: ['_bucket', '_sum', '_count'],
    classic: ['_bucket', '_sum', '_count'],
  },
  summary: { openmetrics: ['', '_sum', '_count'], classic: ['', '_sum', '_count'] },
}

/** By family name: in the classic format a counter's ends in `_total`. */
export function parseMetrics(text: string, format: Format): ReadonlyMap<string, Family> {
  const families = new Map<string, Family>()
  let family: Family | undefined
  let help: readonly string[] = []
  const lines = linesOf(text, format)
  for (const line of lines) {
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (kind === 'HELP') help = [name, rest]
    else if (kind === 'TYPE') {
      assert.equal(help[0], name, `TYPE without HELP: ${line}`)
      assert.ok(!families.has(name), `twice: ${name}`)
      family = { name, type: rest, help: help[1] ?? '', samples: [] }
      families.set(name, family)
    } else family = add(family, line, format)
  }
  for (const one of families.values()) check(one)
  return families
}

/** The sum of a counter's or gauge's samples that have these labels. */
export function sumOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const found = families.get(name)?.samples ?? []
  return found
    .filter((s) => Object.entries(labels).every(([key, value]) => s.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
}

/** Every series of ours, as one line each; Node's own have a few kinds of handles and collections. */
export const seriesOf = (families: ReadonlyMap<string, Family>): string[] =>
  [...families.values()]
    .filter(({ name }) => !name.startsWith('nodejs_'))
    .flatMap(({ samples }) => samples.map(keyOf))
    .sort()

const keyOf = ({ name, labels }: Sample) =>
  `${name} ${Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join()}`

function linesOf(text: string, format: Format): string[] {
  if (format === 'classic') {
    assert.ok(!text.includes('# EOF'))
    return text.split('\n').filter((line) => line !== '')
  }
  assert.ok(text.endsWith('\n# EOF\n'), 'OpenMetrics ends with # EOF')
  const lines = text.slice(0, -'# EOF\n'.length).split('\n').slice(0, -1)
  assert.ok(!lines.includes(''), 'OpenMetrics has no empty line')
  return lines
}

function add(family: Family | undefined, line: string, format: Format): Family {
  const match = sampleLine.exec(line)
  assert.ok(match !== null && family !== undefined, `not a sample: ${line}`)
  const [, name = '', labels = '', value = '', exemplar] = match
  const endings = suffixes[family.type]?.[format] ?? []
  assert.ok(
    endings.some((ending) => name === family.name + ending),
    `${name} is no sample of the ${family.type} ${family.name}`,
  )
  if (exemplar !== undefined) {
    assert.equal(format, 'openmetrics', `an exemplar in the classic text: ${line}`)
    assert.match(name, /_bucket$|_total$/)
    const characters = exemplar.replaceAll(/[=",]/g, '').length
    assert.ok(characters <= exemplarCharactersMax, line)
  }
  family.samples.push({
    name,
    labels: labelsOf(labels),
    value: numberOf(value),
    exemplar: exemplar === undefined ? undefined : labelsOf(exemplar),
  })
  return family
}

const labelsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', value = '']) => [
      key,
      value,
    ]),
  )

function numberOf(text: string): number {
  if (/^nan$/i.test(text)) return Number.NaN
  if (/^[+-]?inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  const value = Number(text)
  assert.ok(!Number.isNaN(value), `not a number: ${text}`)
  return value
}

function check({ name, type, samples }: Family): void {
  const keys = samples.map(keyOf)
  assert.equal(new Set(keys).size, keys.length, `a series of ${name} comes twice`)
  if (type === 'counter') for (const { value } of samples) assert.ok(value >= 0, name)
  if (type !== 'histogram') return
  const counts = new Map<string, number>()
  for (const sample of samples.filter((one) => one.name.endsWith('_bucket'))) {
    const { le, ...others } = sample.labels
    const key = JSON.stringify(others)
    assert.ok(sample.value >= (counts.get(key) ?? 0), `buckets of ${name} are not cumulative`)
    counts.set(key, sample.value)
    assert.ok(le !== undefined, name)
  }
  for (const { labels, value } of samples.filter((one) => one.name.endsWith('_count'))) {
    assert.equal(counts.get(JSON.stringify(labels)), value, `the last bucket of ${name}`)
  }
}
