/**
 * The two texts in which a scraper reads metrics. Ours are kept for OpenMetrics, the only one that
 * can carry exemplars; the classic text is made from it, because the registry can be read as one of
 * them only: asked for both in turn, it forgets the `_total` of its counters.
 */

export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
export const classicType = 'text/plain; version=0.0.4; charset=utf-8'

/** True when the scraper names OpenMetrics among what it takes, as Prometheus does. */
export const asksForOpenMetrics = (accept: string | undefined): boolean =>
  (accept ?? '')
    .split(',')
    .map((part) =>
      part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/),
    )
    .some(([type, ...params]) => {
      return type === 'application/openmetrics-text' && !params.some((p) => /^q=0(\.0*)?$/.test(p))
    })

const exemplar = / # \{[^}]*\} \S+ \S+$/

/** The classic text (version 0.0.4) of the same values. */
export function toClassicText(openMetrics: string): string {
  const lines = openMetrics.split('\n').filter((line) => line !== '# EOF')
  const counters = new Set(lines.flatMap((line) => /^# TYPE (\S+) counter$/.exec(line)?.[1] ?? []))
  return lines.map((line) => classicLine(line, counters)).join('\n')
}

function classicLine(line: string, counters: ReadonlySet<string>): string {
  const about = /^# (?:HELP|TYPE) (\S+)/.exec(line)
  if (about === null) return line.replace(exemplar, '')
  const [start, name = ''] = about
  return counters.has(name) ? `${start}_total${line.slice(start.length)}` : line
}
