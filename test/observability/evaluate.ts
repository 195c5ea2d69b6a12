/** Asks Prometheus for every panel and every rule, and says which of them show nothing. */
import { interpolate, type Panel, readDashboards } from './panels.ts'
import type { Prometheus } from './prometheus.ts'
import { measureOf, readRules } from './rule-files.ts'

/** Covers several scrapes of a second each. */
export const rateWindow = '15s'

/** Panels that show nothing while all is well, as `dashboard: panel`. The test provokes each. */
export const errorOnly: ReadonlySet<string> = new Set([
  'Baton / Agents and cost: 429 and 529 a minute',
  'Baton / Agents and cost: Failed requests a minute by code',
  'Baton / Agents and cost: Fallbacks a minute',
  'Baton / Network: Failed calls a second',
  'Baton / Network: Refused credentials a minute',
  'Baton / Network: Circuit breakers',
])

/** Alerts of what is absent: nothing while all is well. */
const absenceAlerts: ReadonlySet<string> = new Set(['ServiceAbsent', 'MetricsMissing'])

/** Every query of every panel, as `dashboard: panel`. */
export function panelQueries(): { name: string; panel: Panel; expr: string }[] {
  return readDashboards().flatMap(({ title, panels }) =>
    panels.flatMap((panel) =>
      panel.targets.map(({ expr }) => ({
        name: `${title}: ${panel.title}`,
        panel,
        expr: interpolate(expr, rateWindow),
      })),
    ),
  )
}

/**
 * The panels with a query that gives nothing now, or only NaN.
 *
 * @throws Error when Prometheus refuses an expression.
 */
export async function emptyPanels(prometheus: Prometheus): Promise<string[]> {
  const empty: string[] = []
  for (const { name, expr } of panelQueries()) {
    if (errorOnly.has(name)) {
      await prometheus.query(expr)
    } else if (!(await hasNumbers(prometheus, expr))) {
      empty.push(`${name}: ${expr}`)
    }
  }
  return empty
}

/** The error-only panels that have shown nothing above 0 since `sinceS`. */
export async function unprovokedPanels(prometheus: Prometheus, sinceS: number): Promise<string[]> {
  const flat: string[] = []
  for (const { name, expr } of panelQueries().filter((query) => errorOnly.has(query.name))) {
    const found = await prometheus.queryRange(expr, sinceS, Date.now() / 1_000, 1)
    const values = found.flatMap(({ values: points = [] }) => points.map(([, value]) => value))
    if (!values.some((value) => Number(value) > 0)) flat.push(`${name}: ${expr}`)
  }
  return flat
}

/**
 * The rules whose measure gives nothing, and those that Prometheus itself has trouble with. Alerts of
 * what is absent must give nothing here.
 */
export async function emptyRules(prometheus: Prometheus): Promise<string[]> {
  const wrong: string[] = []
  for (const { record, alert = '', expr } of readRules()) {
    const firing = await prometheus.query(expr)
    if (absenceAlerts.has(alert)) {
      if (firing.length > 0)
        wrong.push(`${alert} finds something absent: ${JSON.stringify(firing)}`)
    } else if (!(await hasNumbers(prometheus, record === undefined ? measureOf(expr) : expr))) {
      wrong.push(`${record ?? alert} has nothing to judge`)
    }
  }
  for (const { name, health, lastError } of await prometheus.rules()) {
    if (health !== 'ok') wrong.push(`${name} is ${health}: ${lastError}`)
  }
  return wrong
}

/** What the expression of an alert finds now, one line of labels each. */
export async function findings(prometheus: Prometheus, alert: string): Promise<string[]> {
  const found = readRules().find((one) => one.alert === alert)
  const series = await prometheus.query(found?.expr ?? '')
  return series.map(({ metric }) => JSON.stringify(metric))
}

async function hasNumbers(prometheus: Prometheus, expr = ''): Promise<boolean> {
  const found = await prometheus.query(expr)
  return found.some(({ value }) => value !== undefined && !Number.isNaN(Number(value[1])))
}
