/** The few kinds of panel that the dashboards are made of, so that all of them read alike. */
import * as common from '@grafana/grafana-foundation-sdk/common'
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'
import * as stat from '@grafana/grafana-foundation-sdk/stat'
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'

export interface PanelSpec {
  readonly title: string
  /** What it shows and what to make of it: Grafana shows it on the title. */
  readonly description: string
  /** Grafana's name of a unit, like `s` or `currencyUSD`. */
  readonly unit: string
  /** By legend, in which `{{label}}` stands for a label's value. */
  readonly queries: Readonly<Record<string, string>>
  /** Values from here on are red. */
  readonly redFrom?: number
  /** Grafana's names of colours, by legend, where a colour says how good or bad it is. */
  readonly colors?: Readonly<Record<string, string>>
}

const datasource = { type: 'prometheus', uid: '$' + '{datasource}' }
const graphHeight = 8
const graphWidth = 8
const statHeight = 4
const statWidth = 6

/** Curves over time. */
export function graph(spec: PanelSpec, stacked = false): timeseries.PanelBuilder {
  const panel = new timeseries.PanelBuilder()
    .title(spec.title)
    .description(spec.description)
    .unit(spec.unit)
    .datasource(datasource)
    .height(graphHeight)
    .span(graphWidth)
    .min(0)
    .lineWidth(1)
    .fillOpacity(stacked ? 60 : 10)
    .showPoints(common.VisibilityMode.Never)
    .thresholds(thresholdsOf(spec))
    .tooltip(new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi))
    .legend(
      new common.VizLegendOptionsBuilder()
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .showLegend(true),
    )
  if (spec.redFrom !== undefined) {
    const line = new common.GraphThresholdsStyleConfigBuilder()
    panel.thresholdsStyle(line.mode(common.GraphThresholdsStyleMode.Line))
  }
  if (stacked) {
    panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal))
  }
  for (const [legend, fixedColor] of Object.entries(spec.colors ?? {})) {
    panel.overrideByName(legend, [{ id: 'color', value: { mode: 'fixed', fixedColor } }])
  }
  for (const query of queriesOf(spec)) panel.withTarget(query)
  return panel
}

/** Curves on top of each other: for parts of a whole. */
export const stackedGraph = (spec: PanelSpec) => graph(spec, true)

/** One number, the latest, with its course behind it. */
export function number(spec: PanelSpec): stat.PanelBuilder {
  const panel = new stat.PanelBuilder()
    .title(spec.title)
    .description(spec.description)
    .unit(spec.unit)
    .datasource(datasource)
    .height(statHeight)
    .span(statWidth)
    .graphMode(common.BigValueGraphMode.Area)
    .colorMode(common.BigValueColorMode.Value)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .thresholds(thresholdsOf(spec))
  for (const query of queriesOf(spec)) panel.withTarget(query)
  return panel
}

function thresholdsOf({ redFrom }: PanelSpec): dashboard.ThresholdsConfigBuilder {
  const green = { value: null, color: 'green' }
  return new dashboard.ThresholdsConfigBuilder()
    .mode(dashboard.ThresholdsMode.Absolute)
    .steps(redFrom === undefined ? [green] : [green, { value: redFrom, color: 'red' }])
}

function queriesOf({ queries }: PanelSpec): prometheus.DataqueryBuilder[] {
  return Object.entries(queries).map(([legend, expr], i) =>
    new prometheus.DataqueryBuilder()
      .refId(String.fromCharCode(65 + i))
      .datasource(datasource)
      .expr(expr)
      .legendFormat(legend)
      .range(),
  )
}
