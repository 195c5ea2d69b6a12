/** Who hears of a change that is one client's alone. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { z } from 'zod'
import { defineResource, implementResource } from '../../platform/resource.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'
import { waitFor } from '../support/wait-for.ts'

const list = defineResource({
  ...{ name: 'list', uri: 'lists://{name}', scope: 'lists:read', bound: 'none', ttlMs: 0 },
  description: 'A list. Read it.',
  variables: z.object({ name: z.string() }),
})
const mine = 'lists://mine'
const fence = 'lists://everybody'

describe('changes that are told to watchers', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  const listeners = new Map<string, { heard: string[]; close: () => Promise<void> }>()

  const listen = async (clientId: string, scope = 'lists:read') => {
    const token = await issuer.sign({ audience: server.url, clientId, scope })
    const client = new Client(
      { name: 'listener', version: '1' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    )
    const requestInit = { headers: { authorization: `Bearer ${token}` } }
    const url = new URL('/mcp', server.url)
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit }))
    const heard: string[] = []
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri)
    })
    await client.listen({ resourceSubscriptions: [mine, fence] })
    listeners.set(clientId, { heard, close: () => client.close() })
  }

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const resources = [implementResource(list, { read: async ({ name }) => ({ name }) })]
    server = await testServer({ db, issuer, primitives: { resources } })
    await listen('shop-1')
    await listen('shop-2')
    await listen('auditor', 'lists:read all:read')
  })
  after(async () => {
    for (const { close } of listeners.values()) await close()
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  const tell = (payload: unknown) =>
    db.query(`select pg_notify('resource_updated', $1)`, [
      typeof payload === 'string' ? payload : JSON.stringify(payload),
    ])
  /** What each heard, up to a change that all of them hear. */
  const heardBefore = async (...payloads: unknown[]) => {
    for (const { heard } of listeners.values()) heard.length = 0
    for (const payload of payloads) await tell(payload)
    await tell({ uri: fence })
    return Object.fromEntries(
      await Promise.all(
        [...listeners].map(async ([clientId, { heard }]) => {
          await waitFor(() => heard.includes(fence), { what: `${clientId} to hear` })
          return [clientId, heard.filter((uri) => uri !== fence)]
        }),
      ),
    )
  }

  it('reach everybody when they are nobody’s', async () => {
    const heard = await heardBefore({ uri: mine })
    assert.deepEqual(heard, { 'shop-1': [mine], 'shop-2': [mine], auditor: [mine] })
  })

  it('reach only the client whose they are, and who may see all', async () => {
    const heard = await heardBefore({ uri: mine, clientId: 'shop-1' })
    assert.deepEqual(heard, { 'shop-1': [mine], 'shop-2': [], auditor: [mine] })
  })

  it('reach nobody else for a client that does not listen', async () => {
    const heard = await heardBefore({ uri: mine, clientId: 'shop-3' })
    assert.deepEqual(heard, { 'shop-1': [], 'shop-2': [], auditor: [mine] })
  })

  it('reach nobody when they make no sense, and do no harm', async () => {
    const heard = await heardBefore('{', 'null', { clientId: 'shop-1' }, { uri: 7 })
    assert.deepEqual(heard, { 'shop-1': [], 'shop-2': [], auditor: [] })
  })

  it('do not keep a stream whose listener has stopped reading', async () => {
    const long = `lists://${'x'.repeat(400)}`
    const token = await issuer.sign({ audience: server.url, clientId: 'deaf', scope: 'lists:read' })
    const body = JSON.stringify({
      ...{ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen' },
      params: {
        notifications: { resourceSubscriptions: [long] },
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    })
    const taken = once(server.http, 'connection')
    const deaf = connect(Number(new URL(server.url).port), '127.0.0.1')
    deaf.on('error', () => {})
    deaf.write(
      [
        ...['POST /mcp HTTP/1.1', 'host: localhost', `authorization: Bearer ${token}`],
        ...['content-type: application/json', 'accept: application/json, text/event-stream'],
        ...['mcp-protocol-version: 2026-07-28', 'mcp-method: subscriptions/listen'],
        ...[`content-length: ${body.length}`, '', body],
      ].join('\r\n'),
    )
    const [ours] = (await taken) as [Socket]
    const [head] = await once(deaf, 'data')
    deaf.pause()
    assert.match(String(head), /200 OK/)
    // More than the buffers between two sockets hold; each is another one to Postgres.
    await db.query(
      `select pg_notify('resource_updated', json_build_object('uri', $1::text, 'n', n)::text)
         from generate_series(1, 40000) n`,
      [long],
    )
    await waitFor(() => ours.writableNeedDrain, { what: 'the buffers to be full' })

    server.doors.endStreams()
    await tell({ uri: long })

    await waitFor(() => ours.destroyed, { timeoutMs: 5_000, what: 'its end' })
    deaf.destroy()
    for (const [clientId, { close }] of [...listeners]) {
      await close()
      listeners.delete(clientId)
    }
  })
})
