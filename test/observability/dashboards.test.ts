/** The committed dashboards are what the code makes, and each panel explains itself. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { dashboardFiles, dashboardsFolder } from '../../observability/grafana/files.ts'
import { readDashboards } from './panels.ts'

describe('the dashboards', () => {
  it('are committed as they are generated (npm run dashboards)', () => {
    const committed = readdirSync(dashboardsFolder).filter((name) => name.endsWith('.json'))
    const read = committed.map((name) => [
      name,
      readFileSync(new URL(name, dashboardsFolder), 'utf8'),
    ])

    assert.deepEqual(Object.fromEntries(read), dashboardFiles())
  })

  it('have panels with a title, a description and queries, each number and title once', () => {
    for (const { title, panels } of readDashboards()) {
      assert.ok(panels.length >= 9, title)
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, title)
      for (const panel of panels) {
        assert.ok(panel.description.length > 3, `${title}: ${panel.title}`)
        assert.ok(panel.targets.length > 0, `${title}: ${panel.title}`)
      }
    }
  })

  it('cover the grid without overlap', () => {
    for (const { title, panels } of readDashboards()) {
      const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
        Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
      )
      assert.equal(new Set(cells).size, cells.length, title)
    }
  })

  it('take rates over a window that follows the scrape interval', () => {
    const exprs = readDashboards().flatMap(({ panels }) =>
      panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    )
    const windows = exprs.flatMap((expr) => [...expr.matchAll(/\[(.*?)\]/g)].map(([all]) => all))
    assert.deepEqual([...new Set(windows)], ['[$__rate_interval]'])
  })
})
