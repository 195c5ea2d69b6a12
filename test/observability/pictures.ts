/** Pictures of the dashboards, drawn by uPlot in Chromium from the same queries. Not Grafana. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { programPath } from './debian.ts'
import { rateWindow } from './evaluate.ts'
import { interpolate, type Panel, type ReadDashboard, readDashboards } from './panels.ts'
import type { Prometheus, Series } from './prometheus.ts'

const imagesDir = new URL('../../docs/images/', import.meta.url)
const width = 1_440
const stepS = 2
const caption =
  'Rendered by npm run test:observability from the dashboard’s queries; not a screenshot of Grafana.'
const flags = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]

interface Curve {
  readonly legend: string
  readonly values: readonly (number | null)[]
}

/** Writes docs/images/*.png, one of each dashboard, from `sinceS` until now. */
export async function drawDashboards(
  prometheus: Prometheus,
  sinceS: number,
  say: (line: string) => void,
): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'baton-chromium-'))
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: programPath('chromium'),
    headless: true,
    args: flags,
    viewport: { width, height: 300 },
    deviceScaleFactor: 1,
  })
  try {
    await mkdir(imagesDir, { recursive: true })
    const times = timesOf(sinceS)
    for (const dashboard of readDashboards()) {
      const page = await browser.newPage()
      const panels = await Promise.all(
        dashboard.panels.map(async (panel) => ({
          ...panel,
          curves: await curvesOf(prometheus, panel, times),
        })),
      )
      const png = await draw(page, dashboard, { times, panels })
      const name = dashboard.file.replace('.json', '.png')
      await writeFile(new URL(name, imagesDir), png)
      say(`Written: docs/images/${name}`)
    }
  } finally {
    await browser.close()
    await rm(profile, { recursive: true, force: true })
  }
}

async function draw(page: Page, { title, rows }: ReadDashboard, data: object): Promise<Buffer> {
  const problems: Error[] = []
  page.on('pageerror', (error) => problems.push(error))
  await page.setContent(await readFile(new URL('./picture.html', import.meta.url), 'utf8'))
  await page.addStyleTag({ path: fileURLToPath(import.meta.resolve('uplot/dist/uPlot.min.css')) })
  await page.addScriptTag({
    path: fileURLToPath(import.meta.resolve('uplot/dist/uPlot.iife.min.js')),
  })
  await page.evaluate(`draw(${JSON.stringify({ ...data, title, rows, caption })})`)
  if (problems.length > 0) throw new AggregateError(problems, `The picture of ${title} failed`)
  return page.screenshot({ fullPage: true })
}

const timesOf = (sinceS: number): number[] => {
  const from = Math.ceil(sinceS)
  const points = Math.floor((Date.now() / 1_000 - from) / stepS)
  return Array.from({ length: points }, (_, i) => from + i * stepS)
}

async function curvesOf(
  prometheus: Prometheus,
  panel: Panel,
  times: readonly number[],
): Promise<Curve[]> {
  const [from = 0, to = 0] = [times.at(0), times.at(-1)]
  const found = await Promise.all(
    panel.targets.map(async ({ expr, legendFormat }) => {
      const answer = await prometheus.queryRange(interpolate(expr, rateWindow), from, to, stepS)
      return answer.map((series) => curveOf(series, legendFormat, times))
    }),
  )
  return found.flat()
}

function curveOf({ metric, values = [] }: Series, format: string, times: readonly number[]): Curve {
  const byTime = new Map(values.map(([at, value]) => [at, Number(value)] as const))
  return {
    legend: format.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
    values: times.map((at) => {
      const value = byTime.get(at)
      return value === undefined || !Number.isFinite(value) ? null : value
    }),
  }
}
