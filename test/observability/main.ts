/**
 * `npm run test:observability`: the dashboards and alerts against the real thing. Starts Prometheus,
 * Alertmanager and the platform, sends orders, breaks things, and asks Prometheus for every panel and
 * every rule. Exits 1 when one shows nothing, or when an alert does not reach the webhook. Writes the
 * pictures in docs/images/.
 *
 *     npm run test:observability -- --no-pictures      without Chromium
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { assertNode } from '../../launcher/config.ts'
import { stopOnSignals } from '../../launcher/stop-signals.ts'
import { waitFor } from '../support/wait-for.ts'
import {
  forgeTokens,
  loseAnOrchestrator,
  loseFulfillment,
  restock,
  stickAnOrder,
  troubleModels,
} from './acts.ts'
import { programPath } from './debian.ts'
import { emptyPanels, emptyRules, findings, panelQueries, unprovokedPanels } from './evaluate.ts'
import { drawDashboards } from './pictures.ts'
import { readRules } from './rule-files.ts'
import { type Stage, startStage } from './stage.ts'
import { startTraffic } from './traffic.ts'

const orderEveryMs = 400
const calmMs = 20_000
const lastCurvesMs = 10_000
const absentMs = 15_000

const { values } = parseArgs({
  options: { pictures: { type: 'boolean', default: true } },
  allowNegative: true,
})
const say = (line: string) => console.log(line)

/** What is wrong, one line each. */
async function prove(stage: Stage): Promise<string[]> {
  const sinceS = Date.now() / 1_000
  await restock(stage)
  const traffic = startTraffic(stage.orchestrators, orderEveryMs)
  await delay(calmMs)
  const calm = [...(await emptyPanels(stage.prometheus)), ...(await emptyRules(stage.prometheus))]
  say(`${panelQueries().length} queries of panels and ${readRules().length} rules asked while calm`)

  for (const act of [
    troubleModels,
    forgeTokens,
    stickAnOrder,
    loseFulfillment,
    loseAnOrchestrator,
  ]) {
    say(`Now: ${act.name}`)
    await act(stage)
  }
  await delay(lastCurvesMs)
  await traffic.stop()
  const flat = await unprovokedPanels(stage.prometheus, sinceS)
  if (values.pictures) await drawDashboards(stage.prometheus, sinceS, say)
  const traced = (await stage.prometheus.traceIds('order_duration_seconds_bucket')).length
  const untraced = traced > 0 ? [] : ['no latency of an order leads to its trace']
  return [
    ...calm,
    ...flat,
    ...untraced,
    ...(await badNotices(stage)),
    ...(await unseenAbsence(stage)),
  ]
}

/** Notices whose texts were not filled in; says which alerts came. */
async function badNotices({ alertmanager, prometheus }: Stage): Promise<string[]> {
  const names = new Set(alertmanager.notices.map(({ labels }) => labels.alertname))
  say(`Told to the webhook: ${[...names].sort().join(', ')}`)
  const texts = [...alertmanager.notices, ...(await prometheus.alerts())].flatMap(
    ({ annotations }) => Object.values(annotations),
  )
  return texts.filter((text) => /<no value>|<error expanding|\{\{/.test(text))
}

/** Without any orchestrator both alerts of what is absent must find something. */
async function unseenAbsence({ platform, prometheus }: Stage): Promise<string[]> {
  for (const name of ['orchestrator', 'orchestrator-2']) await platform.kill(name)
  const unseen: string[] = []
  for (const alert of ['ServiceAbsent', 'MetricsMissing']) {
    const sees = async () => (await findings(prometheus, alert)).length > 0
    await waitFor(sees, { timeoutMs: absentMs, what: alert }).catch((error: unknown) =>
      unseen.push(String(error)),
    )
  }
  return unseen
}

async function main(): Promise<boolean> {
  assertNode(process.versions.node)
  const { first, stopped } = stopOnSignals()
  const programs = ['prometheus', 'prometheus-alertmanager'] as const
  for (const program of programs) programPath(program)
  if (values.pictures) programPath('chromium')
  await using stage = await startStage(first)
  const wrong = (await Promise.race([prove(stage), stopped])) ?? ['interrupted']
  for (const line of wrong) console.error(`WRONG ${line}`)
  say(wrong.length === 0 ? 'Every panel and every rule shows what it should' : 'Not proven')
  return wrong.length === 0
}

const proven = await main().catch((error: unknown) => {
  console.error(error)
  return false
})
process.exit(proven ? 0 : 1)
