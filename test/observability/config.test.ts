/** What the configurations say of each other, and of the platform, is true. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { basePorts } from '../../launcher/ports.ts'
import { observabilityDir, readRules } from './rule-files.ts'

const read = async (path: string) => parse(await readFile(join(observabilityDir, path), 'utf8'))
const services = ['orchestrator', 'order', 'inventory', 'fulfillment'] as const

describe('the configurations', () => {
  it('scrape the four processes where they listen', async () => {
    const { scrape_configs: scrapes } = await read('prometheus/prometheus.yml')
    const found = scrapes[0].dns_sd_configs.map(
      ({ names, port }: { names: string[]; port: number }) => [names[0], port],
    )

    assert.deepEqual(
      found,
      services.map((name) => [name, basePorts[name]]),
    )
  })

  it('keep the same services in Kubernetes, and miss each that is absent', async () => {
    const { scrape_configs: scrapes } = await read('prometheus/prometheus.kubernetes.yml')
    const keeps = scrapes[0].relabel_configs.map(({ regex }: { regex?: string }) => regex)
    assert.ok(keeps.includes(services.join('|')))

    const absent = readRules().find(({ alert }) => alert === 'ServiceAbsent')?.expr ?? ''
    const missed = [...absent.matchAll(/absent\(up\{job="baton", service="(\w+)"\}\)/g)]
    assert.deepEqual(
      missed.map(([, name]) => name),
      [...services],
    )
  })

  it('tell Grafana how often Prometheus scrapes and where the dashboards are', async () => {
    const { datasources } = await read('grafana/provisioning/datasources/prometheus.yml')
    const { providers } = await read('grafana/provisioning/dashboards/baton.yml')
    for (const file of ['prometheus.yml', 'prometheus.kubernetes.yml']) {
      const { global, rule_files: rules } = await read(`prometheus/${file}`)
      assert.equal(datasources[0].jsonData.timeInterval, global.scrape_interval, file)
      assert.deepEqual(rules, ['rules/*.yml'], file)
    }
    assert.equal(datasources[0].type, 'prometheus')
    assert.equal(providers[0].options.path, '/etc/grafana/dashboards/baton')
  })
})
