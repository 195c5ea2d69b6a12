import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { readConfig } from '../../platform/config.ts'
import { createMcpCaller, type McpCaller } from '../../platform/mcp-client.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { newTraceId } from '../../platform/tracing.ts'
import { generateLabel, proposeShipment, voidLabel } from '../../services/fulfillment/contract.ts'
import { fulfillmentConfig, startFulfillment } from '../../services/fulfillment/service.ts'
import { releaseStock, reserveStock } from '../../services/inventory/contract.ts'
import { inventoryConfig, startInventory } from '../../services/inventory/service.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { type CallProxy, type Hooks, startCallProxy } from '../chaos/call-proxy.ts'
import { describeToolCall } from '../chaos/meanings.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { freePort } from '../support/free-port.ts'
import { testCarrier, testCarrierKey } from '../support/test-carrier.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { request } from './fulfillment/parcels.ts'

const timeoutMs = 400

describe('a call that times out and lands after its undo', () => {
  const undo = new AsyncDisposableStack()
  let issuer: TestIssuer
  let claudeUrl = ''

  before(async () => {
    issuer = undo.use(await testIssuer())
    const claude = createClaudeStandin()
    undo.defer(() => claude.close())
    claudeUrl = await claude.listen({ host: '127.0.0.1', port: 0 })
  })
  after(() => undo.disposeAsync())

  /** A service behind a proxy that can hold its calls back. */
  async function behindProxy(server: string): Promise<{
    db: TestDatabase
    port: number
    proxy: CallProxy
    mcp: McpCaller
    env: Record<string, string>
  }> {
    const db = undo.use(await testDatabase())
    const port = await freePort()
    const backends = [{ name: server, port }]
    const proxy = undo.use(await startCallProxy({ backends, describe: describeToolCall }))
    const env = {
      ...{ PORT: String(port), LOG_LEVEL: 'silent', DATABASE_URL: db.url, SEED_DEMO: 'true' },
      ...{ ISSUER_URL: issuer.url, RESOURCE_URL: proxy.url },
      ...{ CLAUDE_MODE: 'standin', CLAUDE_URL: claudeUrl },
    }
    const metrics = createMetrics('test')
    const authorize = issuer.authorize(proxy.url)
    const mcp = createMcpCaller({ server, baseUrl: proxy.url, authorize, metrics })
    undo.defer(() => mcp.close())
    return { db, port, proxy, mcp, env }
  }

  /** Holds one tool's next call back until it is let go; then tells when it was answered. */
  function holdBack(proxy: CallProxy, tool: string) {
    const gate = Promise.withResolvers<void>()
    const landed = Promise.withResolvers<void>()
    const hooks: Hooks = { before: () => gate.promise, after: async () => landed.resolve() }
    proxy.intercept = ({ step }) => {
      if (step !== tool) return undefined
      proxy.intercept = undefined
      return hooks
    }
    return {
      letGo: async () => {
        gate.resolve()
        await landed.promise
      },
    }
  }

  it('reserves nothing', async () => {
    const { db, proxy, mcp, env } = await behindProxy('inventory')
    const service = await startInventory(readConfig(inventoryConfig, env))
    undo.defer(() => service.stop())
    const orderId = randomUUID()
    const key = { orderId, round: 1 }
    const options = { timeoutMs, traceId: newTraceId(), orderId }
    const late = holdBack(proxy, 'reserve_stock')

    const lines = [{ sku: 'ABC123', quantity: 5 }]
    const timedOut = { kind: 'unavailable', code: 'deadline_exceeded' }
    await assert.rejects(mcp.call(reserveStock, { ...key, lines }, options), timedOut)
    await mcp.call(releaseStock, key, options)
    await late.letGo()

    const { rows } = await db.query(
      `select available::int, held::int, (select state from reservation where order_id = $1)
         from stock where sku = 'ABC123'`,
      [orderId],
    )
    assert.deepEqual(rows, [{ available: 100, held: 0, state: 'released' }])
    const refused = { kind: 'rejected', code: 'reservation_released' }
    await assert.rejects(mcp.call(reserveStock, { ...key, lines }, options), refused)
  })

  it('buys nothing', async () => {
    const { db, proxy, mcp, env } = await behindProxy('fulfillment')
    const carrier = undo.use(await testCarrier())
    const carrierEnv = { CARRIER_URL: carrier.url, CARRIER_API_KEY: testCarrierKey }
    const service = await startFulfillment(readConfig(fulfillmentConfig, { ...env, ...carrierEnv }))
    undo.defer(() => service.stop())
    const orderId = randomUUID()
    const key = { orderId, round: 1 }
    const options = { timeoutMs, traceId: newTraceId(), orderId }
    await mcp.call(proposeShipment, { ...key, ...request() }, { ...options, timeoutMs: 10_000 })
    const late = holdBack(proxy, 'generate_label')

    const timedOut = { kind: 'unavailable', code: 'deadline_exceeded' }
    await assert.rejects(mcp.call(generateLabel, key, options), timedOut)
    await mcp.call(voidLabel, key, options)
    await late.letGo()

    const { bought, live } = await carrier.book(`${orderId}:1`)
    assert.deepEqual([bought, live], [0, 0])
    const { rows } = await db.query('select state from shipment where order_id = $1', [orderId])
    assert.deepEqual(rows, [{ state: 'voided' }])
    const refused = { kind: 'rejected', code: 'label_voided' }
    await assert.rejects(mcp.call(generateLabel, key, options), refused)
  })
})
