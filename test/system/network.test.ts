/** Who really talks to whom, seen from the sockets of the running processes. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import pg from 'pg'
import { waitFor } from '../support/wait-for.ts'
import { postOrder } from './client.ts'
import { mayConnectTo } from './network.ts'
import { peerPortsOf } from './open-connections.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const sightings = 20

describe('the network of the platform', { skip: process.platform !== 'linux' }, () => {
  let t: TestPlatform
  before(async () => {
    t = await startTestPlatform(21_900)
  })
  after(() => t[Symbol.asyncDispose]())

  const nameOfPort = (port: number): string | undefined => {
    if (port === Number(new URL(t.platform.databaseUrls.orders).port)) return 'postgres'
    const found = Object.entries(t.platform.urls).find(
      ([, url]) => Number(new URL(url).port) === port,
    )
    return found?.[0]
  }

  it('has exactly the connections that a policy may allow', async () => {
    const seen = new Map<string, Set<string>>()
    const look = async () => {
      for (const { name, pid } of t.platform.processes) {
        const peers = [...(await peerPortsOf(pid))]
          .map(nameOfPort)
          .filter((peer) => peer !== undefined)
        seen.set(name, new Set([...(seen.get(name) ?? []), ...peers]))
      }
    }
    for (let i = 0; i < sightings; i += 1) {
      const order = postOrder(t.platform.urls.orchestrator, {
        ...{ sku: 'ABC123', qty: 1, customer: 'John Doe', note: `Order ${i}` },
      })
      await look()
      await order
      await look()
    }

    await waitFor(async () => seen.size >= Object.keys(mayConnectTo).length, { what: 'processes' })
    const sorted = Object.fromEntries([...seen].map(([name, peers]) => [name, [...peers].sort()]))
    const allowed = Object.fromEntries(
      Object.entries(mayConnectTo).map(([name, peers]) => [name, [...peers].sort()]),
    )
    assert.deepEqual(sorted, allowed)
  })

  it('gives a service no way into another one’s database', async () => {
    const urls = Object.entries(t.platform.databaseUrls)
    for (const [owner, ownUrl] of urls) {
      for (const [other, otherUrl] of urls.filter(([name]) => name !== owner)) {
        const url = new URL(ownUrl)
        url.pathname = new URL(otherUrl).pathname
        const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: 5_000 })
        // 42501 insufficient_privilege: the role may not connect there.
        await assert.rejects(client.connect(), { code: '42501' }, `${owner} into ${other}`)
        await client.end().catch(() => {})
      }
    }
  })
})
