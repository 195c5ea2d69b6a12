/** The dashboards as the text of their files: what is committed, mounted and tested. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { agentsDashboard } from './dashboards/agents.ts'
import { networkDashboard } from './dashboards/network.ts'
import { ordersDashboard } from './dashboards/orders.ts'

export const dashboardsFolder = new URL('./dashboards/', import.meta.url)

/** By file name. */
export function dashboardFiles(): Record<string, string> {
  const text = (dashboard: Dashboard) => `${JSON.stringify(numbered(dashboard), null, 2)}\n`
  return {
    'orders.json': text(ordersDashboard()),
    'agents-and-cost.json': text(agentsDashboard()),
    'network.json': text(networkDashboard()),
  }
}

/** Grafana would number panels itself, anew with each import: links to a panel would break. */
const numbered = (dashboard: Dashboard): Dashboard => ({
  ...dashboard,
  panels: (dashboard.panels ?? []).map((panel, i) => ({ ...panel, id: i + 1 })),
})
