/** Dashboards as Prometheus sees them: panels with queries that it can evaluate. */
import { z } from 'zod'
import { dashboardFiles } from '../../observability/grafana/files.ts'

const gridPos = z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() })
const step = z.object({ value: z.number().nullable(), color: z.string() })
const override = z.object({
  matcher: z.object({ id: z.literal('byName'), options: z.string() }),
  properties: z.array(
    z.object({ id: z.literal('color'), value: z.object({ fixedColor: z.string() }) }),
  ),
})
const panel = z.object({
  id: z.int().positive(),
  type: z.enum(['stat', 'timeseries']),
  title: z.string().min(1),
  description: z.string(),
  gridPos,
  targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })),
  fieldConfig: z.object({
    overrides: z.array(override),
    defaults: z.object({
      unit: z.string(),
      thresholds: z.object({ steps: z.array(step) }),
      custom: z.object({ stacking: z.object({ mode: z.string() }).optional() }).optional(),
    }),
  }),
})
const row = z.object({ type: z.literal('row'), id: z.int(), title: z.string(), gridPos })
const dashboard = z.object({
  uid: z.string(),
  title: z.string(),
  panels: z.array(z.discriminatedUnion('type', [panel, row])),
})

export type Panel = z.infer<typeof panel>
export type Row = z.infer<typeof row>

export interface ReadDashboard {
  readonly file: string
  readonly uid: string
  readonly title: string
  readonly panels: readonly Panel[]
  readonly rows: readonly Row[]
}

export function readDashboards(): ReadDashboard[] {
  return Object.entries(dashboardFiles()).map(([file, text]) => {
    const { uid, title, panels } = dashboard.parse(JSON.parse(text))
    return {
      ...{ file, uid, title },
      panels: panels.filter((one) => one.type !== 'row'),
      rows: panels.filter((one) => one.type === 'row'),
    }
  })
}

/** What Grafana would ask: its variables filled in, all values chosen. */
export const interpolate = (expr: string, rateWindow: string): string =>
  expr.replaceAll('$__rate_interval', rateWindow).replaceAll('$mode', '.*')
