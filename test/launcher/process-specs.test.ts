import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { childEnv } from '../../launcher/child-env.ts'
import { platformSpecs, type Setup } from '../../launcher/process-specs.ts'

const urlOf = (name: string) => `postgres://${name}:pw@127.0.0.1/${name}`
const setup: Setup = {
  databaseUrls: {
    orders: urlOf('orders'),
    inventory: urlOf('inventory'),
    fulfillment: urlOf('fulfillment'),
    orchestrator: urlOf('orchestrator'),
  },
  keyEncryptionKeyFile: '/data/secrets/key',
  carrierDir: '/data/carrier',
  claude: { mode: 'standin' },
  realistic: false,
}
const standin = { portOffset: 0, orchestrators: 1, claudeMode: 'standin' } as const

function envOf(name: string, options = {}, more = {}): Record<string, string> {
  const spec = platformSpecs({ ...standin, ...options }).find((s) => s.name === name)
  assert.ok(spec !== undefined, `no process ${name}`)
  return childEnv(spec, { ...setup, ...more }, 'info')
}

describe('the processes of the platform', () => {
  it('are six, on the ports of the design plus the offset', () => {
    const ports = platformSpecs({ ...standin, portOffset: 100 }).map((s) => [s.name, s.port])

    assert.deepEqual(ports, [
      ['claude-standin', 4110],
      ['carrier-standin', 4120],
      ['order', 3100],
      ['inventory', 3101],
      ['fulfillment', 3102],
      ['orchestrator', 8180],
    ])
  })

  it('have each their own database only', () => {
    for (const [name, database] of [
      ['order', 'orders'],
      ['inventory', 'inventory'],
      ['fulfillment', 'fulfillment'],
      ['orchestrator', 'orchestrator'],
    ] as const) {
      const env = envOf(name)
      assert.equal(env.DATABASE_URL, urlOf(database))
      assert.equal(JSON.stringify(env).match(/postgres:/g)?.length, 1)
    }
    assert.equal(envOf('claude-standin').DATABASE_URL, undefined)
  })

  it('agree about addresses: an audience is the address that is called', () => {
    const orchestrator = envOf('orchestrator', { portOffset: 7 })

    for (const name of ['order', 'inventory', 'fulfillment']) {
      const service = envOf(name, { portOffset: 7 })
      assert.equal(service.RESOURCE_URL, orchestrator[`${name.toUpperCase()}_URL`])
      assert.equal(service.ISSUER_URL, orchestrator.PUBLIC_URL)
    }
    assert.equal(orchestrator.PUBLIC_URL, 'http://localhost:8087')
  })

  it('may have more orchestrators, which are one issuer on other ports', () => {
    const options = { orchestrators: 3 }
    const replicas = platformSpecs({ ...standin, ...options }).slice(5)

    assert.deepEqual(
      replicas.map((s) => [s.name, s.port]),
      [
        ['orchestrator', 8080],
        ['orchestrator-2', 8090],
        ['orchestrator-3', 8100],
      ],
    )
    const { PORT: _first, ...one } = envOf('orchestrator', options)
    const { PORT: _second, ...two } = envOf('orchestrator-2', options)
    assert.deepEqual(two, one)
  })

  it('may have more of a service, which are one resource with one database on other ports', () => {
    const options = { replicas: { order: 2, fulfillment: 3 } }
    const services = platformSpecs({ ...standin, ...options }).slice(2, -1)

    assert.deepEqual(
      services.map((s) => [s.name, s.port]),
      [
        ['order', 3000],
        ['order-2', 3010],
        ['inventory', 3001],
        ['fulfillment', 3002],
        ['fulfillment-2', 3012],
        ['fulfillment-3', 3022],
      ],
    )
    const { PORT: _first, ...one } = envOf('order', options)
    const { PORT: _second, ...two } = envOf('order-2', options)
    assert.deepEqual(two, one)
  })

  it('get no key of the real Claude, and nothing else of ours, beside the stand-in', () => {
    process.env.ANTHROPIC_API_KEY = 'sk-real'
    process.env.SOMETHING_ELSE = 'ours'
    try {
      for (const { name } of platformSpecs(standin)) {
        assert.doesNotMatch(JSON.stringify(envOf(name)), /sk-real|SOMETHING_ELSE/)
      }
      assert.equal(envOf('order').PATH, process.env.PATH)
    } finally {
      delete process.env.ANTHROPIC_API_KEY
      delete process.env.SOMETHING_ELSE
    }
  })

  it('ask the real Claude only when told to, and then there is no stand-in to ask', () => {
    const live = { claudeMode: 'live' }
    const claude = { claude: { mode: 'live', apiKey: 'sk-real' } }

    for (const name of ['order', 'inventory', 'fulfillment', 'orchestrator']) {
      const env = envOf(name, live, claude)
      assert.deepEqual([env.CLAUDE_MODE, env.ANTHROPIC_API_KEY], ['live', 'sk-real'])
      assert.equal(env.CLAUDE_URL, undefined)
    }
    assert.doesNotMatch(JSON.stringify(envOf('carrier-standin', live, claude)), /sk-real/)
    const names = platformSpecs({ ...standin, claudeMode: 'live' }).map((s) => s.name)
    assert.ok(!names.includes('claude-standin'))
  })

  it('are slow only when that is wanted', () => {
    assert.equal(envOf('claude-standin').LATENCY_OPUS_MS, undefined)
    assert.ok(Number(envOf('claude-standin', {}, { realistic: true }).LATENCY_OPUS_MS) > 0)
  })
})
