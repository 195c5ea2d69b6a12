/** What all dashboards have in common: time, refresh, the data source to choose, links to each other. */
import * as sdk from '@grafana/grafana-foundation-sdk/dashboard'

const tag = 'baton'

export function newDashboard(uid: string, title: string, description: string) {
  return new sdk.DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([tag])
    .readonly()
    .refresh('30s')
    .time({ from: 'now-1h', to: 'now' })
    .timezone('browser')
    .tooltip(sdk.DashboardCursorSync.Crosshair)
    .link(
      new sdk.DashboardLinkBuilder('Baton')
        .type(sdk.DashboardLinkType.Dashboards)
        .tags([tag])
        .keepTime(true),
    )
    .withVariable(
      new sdk.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'),
    )
}

export const row = (title: string) => new sdk.RowBuilder(title)
