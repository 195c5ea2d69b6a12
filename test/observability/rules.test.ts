/** The rules are valid, each alert fires and resolves in promtool, and each tells what to do. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { dashboardFiles } from '../../observability/grafana/files.ts'
import { type Program, programPath, skipWithout } from './debian.ts'
import { measureOf, observabilityDir, readRules, ruleFiles } from './rule-files.ts'

const run = async (program: Program, ...args: string[]): Promise<void> => {
  const failed = (error: { stdout?: string; stderr?: string }) => {
    throw new Error(`${program} ${args.join(' ')}\n${error.stdout}${error.stderr}`)
  }
  await promisify(execFile)(programPath(program), args).catch(failed)
}
const prometheusDir = join(observabilityDir, 'prometheus')
const unitTests = globSync(join(prometheusDir, 'tests/*.yml')).sort()
const alerts = readRules().filter(({ alert }) => alert !== undefined)

describe('the rules, asked of promtool', { skip: skipWithout('promtool', 'amtool') }, () => {
  let dir = ''
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'baton-rules-'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  it('are valid', () => run('promtool', 'check', 'rules', ...ruleFiles))

  it('fire and resolve as their unit tests say', () =>
    run('promtool', 'test', 'rules', ...unitTests))

  it('make a unit test fail when a threshold moves', async () => {
    const rules = await readFile(join(prometheusDir, 'rules/orders.yml'), 'utf8')
    const moved = rules.replace('baton:orders_stuck:max > 0', 'baton:orders_stuck:max > 1')
    assert.notEqual(moved, rules)
    await writeFile(join(dir, 'orders.yml'), moved)
    const test = await readFile(join(prometheusDir, 'tests/orders.test.yml'), 'utf8')
    const copy = join(dir, 'orders.test.yml')
    const inPlace = test.replace(/rule_files:.*/, 'rule_files: [orders.yml]')
    await writeFile(copy, inPlace)

    await assert.rejects(run('promtool', 'test', 'rules', copy), /OrdersStuck/)
  })

  it('are loaded by the configuration for containers', () =>
    run('promtool', 'check', 'config', join(prometheusDir, 'prometheus.yml')))

  // Debian builds Prometheus without Kubernetes: all but how pods are found is checked.
  it('are loaded by the configuration for Kubernetes', async () => {
    const path = join(prometheusDir, 'prometheus.kubernetes.yml')
    const config = parse(await readFile(path, 'utf8'))
    config.rule_files = [join(prometheusDir, 'rules/*.yml')]
    const [scrape] = config.scrape_configs
    scrape.static_configs = [{ targets: ['localhost:1'] }]
    delete scrape.kubernetes_sd_configs
    const copy = join(dir, 'prometheus.yml')
    await writeFile(copy, stringify(config))

    await run('promtool', 'check', 'config', copy)
  })

  it('reach an Alertmanager whose configuration is valid', () =>
    run('amtool', 'check-config', join(observabilityDir, 'alertmanager/alertmanager.yml')))
})

describe('every alert', () => {
  it('has a unit test in which it fires', async () => {
    const texts = await Promise.all(unitTests.map((path) => readFile(path, 'utf8')))
    const fired = (name: string) => texts.some((text) => text.includes(`alertname="${name}"`))

    const untested = alerts.filter(({ alert = '' }) => !fired(alert))
    assert.deepEqual(untested, [])
  })

  it('names its threshold in a comment', async () => {
    const texts = await Promise.all(ruleFiles.map((path) => readFile(path, 'utf8')))
    const named = texts.flatMap((text) =>
      [...text.matchAll(/- alert: (\w+)\n +# [A-Z0-9_]{5,}/g)].map((match) => match[1]),
    )

    assert.deepEqual(named.sort(), alerts.map(({ alert }) => alert).sort())
  })

  it('compares one recorded measure, or looks for what is absent', () => {
    const recorded = new Set(readRules().flatMap(({ record }) => record ?? []))
    const others = alerts.filter(({ expr }) => !recorded.has(measureOf(expr) ?? ''))

    assert.deepEqual(
      others.map(({ alert }) => alert),
      ['ServiceAbsent', 'MetricsMissing'],
    )
  })

  it('says what is wrong, what to look at, on which dashboard, and has a section in the runbook', async () => {
    const runbook = await readFile(join(observabilityDir, '../docs/operations.md'), 'utf8')
    const sections = new Map(
      runbook.split(/^### /m).map((section) => [section.split('\n')[0], section] as const),
    )
    const uids = Object.values(dashboardFiles()).map((text) => JSON.parse(text).uid)
    for (const { alert = '', labels, annotations = {} } of alerts) {
      assert.match(labels?.severity ?? '', /^(page|ticket)$/, alert)
      assert.ok((annotations.summary ?? '').length > 10, alert)
      assert.ok((annotations.look_at ?? '').length > 20, alert)
      assert.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`)
      assert.ok(uids.includes(annotations.dashboard?.replace('/d/', '')), alert)
      const section = sections.get(alert) ?? ''
      for (const part of ['Means', 'Look at', 'Do']) {
        assert.ok(section.includes(`**${part}**`), `${part} of ${alert} in docs/operations.md`)
      }
    }
  })
})
