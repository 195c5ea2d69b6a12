/** Keys rotate while orders run, and clients from outside get tokens, on real processes with auth. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { ClientCredentials } from '../../platform/client-credentials.ts'
import { foreignIssuer } from '../support/test-issuer.ts'
import { waitFor } from '../support/wait-for.ts'
import { postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
const portOffset = 20_800
const command = resolve(import.meta.dirname, '../../launcher/command-main.ts')

describe('tokens, two orchestrators with auth', () => {
  let t: TestPlatform
  let idp: Awaited<ReturnType<typeof foreignIssuer>>

  before(async () => {
    idp = await foreignIssuer('', 'ES256')
    const trusted = [{ issuer: idp.url, jwksUri: idp.jwksUri, scopes: ['orders:submit'] }]
    const env = {
      AUTH: 'on',
      KEY_REFRESH_SECONDS: '1',
      STEP_BACKOFF_MIN_MS: '20',
      STEP_BACKOFF_MAX_MS: '100',
      TRUSTED_ISSUERS: JSON.stringify(trusted),
    }
    t = await startTestPlatform(portOffset, {
      orchestrators: 2,
      env: { orchestrator: env, 'orchestrator-2': env },
    })
  })
  after(async () => {
    await t[Symbol.asyncDispose]()
    await idp[Symbol.asyncDispose]()
  })

  const publicUrl = `http://localhost:${8_080 + portOffset}`
  const operate = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], {
      env: {
        PATH: process.env.PATH ?? '',
        DATABASE_URL: t.platform.databaseUrls.orchestrator,
        KEY_ENCRYPTION_KEY_FILE: t.keyEncryptionKeyFile,
      },
    })
    return stdout
  }
  const urls = () => [t.platform.urls.orchestrator, t.platform.urls['orchestrator-2'] ?? '']
  const keysAt = async (url: string) =>
    ((await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: unknown[] }).keys

  it('reach a registered client and nobody else', async () => {
    const added = await operate(
      'orchestrator/clients.ts',
      'add',
      'shop',
      '--scopes',
      'orders:submit',
    )
    const secret = /baton_secret_\S+/.exec(added)?.[0] ?? ''
    const [first = '', second = ''] = urls()

    const response = await fetch(`${second}/oauth/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`shop:${secret}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    })
    const { access_token: token } = (await response.json()) as { access_token: string }

    const order = await postOrder(first, ordinary, { authorization: `Bearer ${token}` })
    assert.deepEqual([order.status, order.body.status], [200, 'fulfilled'])
    assert.equal((await postOrder(first, ordinary)).status, 401)
  })

  it('open a service to an MCP client that gets them by itself, one request for all its calls', async () => {
    const added = await operate(
      'orchestrator/clients.ts',
      'add',
      'reader',
      '--scopes',
      'inventory:read',
    )
    const [first = ''] = urls()
    const resource = t.platform.urls.inventory
    const authProvider = new ClientCredentials({
      tokenEndpoint: new URL('/oauth/token', first),
      clientId: 'reader',
      credential: { kind: 'secret', secret: /baton_secret_\S+/.exec(added)?.[0] ?? '' },
      resource,
    })
    const client = new Client({ name: 'reader', version: '1' })
    const transport = new StreamableHTTPClientTransport(new URL('/mcp', resource), { authProvider })
    await client.connect(transport)

    const call = () => client.callTool({ name: 'get_stock', arguments: { skus: ['ABC123'] } })
    const results = await Promise.all(Array.from({ length: 8 }, call))

    assert.deepEqual([...new Set(results.map((result) => result.isError ?? false))], [false])
    const { tools } = await client.listTools()
    assert.equal(
      tools.some(({ name }) => name === 'reserve_stock'),
      false,
    )
    const issued = t.logs.filter(
      (line) => line.includes('access token issued') && line.includes('reader'),
    )
    assert.equal(issued.length, 1)
    await client.close()
  })

  it('of the operator’s identity provider count, for what is listed', async () => {
    const now = Math.floor(Date.now() / 1_000)
    const claims = { iss: idp.url, aud: publicUrl, sub: 'u', azp: 'erp', iat: now, exp: now + 600 }
    const [first = ''] = urls()
    const token = await idp.sign({ ...claims, scope: 'orders:submit orders:read' })

    const order = await postOrder(first, ordinary, { authorization: `Bearer ${token}` })

    assert.equal(order.body.status, 'fulfilled')
    const reading = await fetch(`${first}/orders`, {
      headers: { authorization: `Bearer ${token}` },
    })
    assert.equal(reading.status, 403)
    const [row] = await t.rows<{ client_id: string }>(
      'orchestrator',
      'select client_id from customer_order where order_id = $1',
      [order.body.orderId],
    )
    assert.equal(row?.client_id, `${new URL(idp.url).host}:erp`)
  })

  it('are signed on while keys rotate: the new key is published by both, orders go on', async () => {
    const now = Math.floor(Date.now() / 1_000)
    const claims = { iss: idp.url, aud: publicUrl, sub: 'u', azp: 'erp', iat: now, exp: now + 600 }
    const token = await idp.sign({ ...claims, scope: 'orders:submit' })
    const order = (url: string) => postOrder(url, ordinary, { authorization: `Bearer ${token}` })
    const running = Promise.all([...urls(), ...urls()].map(order))

    assert.match(await operate('orchestrator/keys.ts', 'rotate'), /A new key is published/)
    assert.match(await operate('orchestrator/keys.ts', 'rotate'), /nothing changed/)

    for (const url of urls()) {
      await waitFor(async () => (await keysAt(url)).length === 2, { what: 'the new key' })
    }
    const ended = [...(await running), ...(await Promise.all(urls().map(order)))]
    assert.deepEqual([...new Set(ended.map(({ body }) => body.status))], ['fulfilled'])
  })
})
