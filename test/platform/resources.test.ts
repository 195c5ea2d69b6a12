/** Resources as clients of both protocol eras see them, over real HTTP. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { missing } from '../../platform/errors.ts'
import {
  defineResource,
  implementResource,
  type ListedResource,
  type ResourcePage,
} from '../../platform/resource.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { askMcp, postMcp } from '../support/mcp-request.ts'
import { oldClient } from '../support/old-client.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'
import { type TestServer, testServer } from '../support/test-server.ts'
import { waitFor } from '../support/wait-for.ts'
import { startWatching } from '../support/watching.ts'

const thing = { bound: 'none', description: 'A thing. Read it.', scope: 'things:read' } as const
const shelf = defineResource({
  ...{ ...thing, name: 'shelf', uri: 'things://shelf', ttlMs: 5_000 },
  variables: z.object({}),
})
const cup = defineResource({
  ...{ ...thing, name: 'cup', uri: 'things://cups/{name}', ttlMs: 0 },
  variables: z.object({ name: z.string().max(50) }),
})
const bowl = defineResource({
  ...{ ...thing, name: 'bowl', uri: 'things://bowls/{name}', ttlMs: 0 },
  variables: z.object({ name: z.string().max(50) }),
})
const oven = defineResource({
  ...{ ...thing, name: 'oven', uri: 'things://oven', ttlMs: 0, scope: 'ovens:read' },
  variables: z.object({}),
})
const parcel = defineResource({
  ...{ name: 'parcel', uri: 'parcels://{orderId}', ttlMs: 0, description: 'A parcel. Read it.' },
  ...{ scope: 'parcels:read', bound: 'order' },
  variables: z.object({ orderId: z.uuid().toLowerCase() }),
})

const cups = Array.from({ length: 150 }, (_, i) => `cup ${String(i).padStart(3, '0')}`)
const bowls = ['bowl/1', 'bowl 2']
const pageOf = (names: readonly string[], base: string, after = ''): ResourcePage => {
  const rest = names.filter((name) => name > after)
  const entries: ListedResource[] = rest
    .slice(0, 60)
    .map((name) => ({ name, uri: `${base}/${encodeURIComponent(name)}` }))
  return { entries, next: rest.length > 60 ? rest[59] : undefined }
}

describe('resources of a process', () => {
  let issuer: TestIssuer
  let db: TestDatabase
  let server: TestServer
  let url = ''
  let reads: string[] = []
  /** Readers of the oven, which answers when they have gone. */
  let baking = 0
  let baked = 0

  before(async () => {
    issuer = await testIssuer()
    db = await testDatabase('platform/migrations')
    const resources = [
      implementResource(parcel, {
        read: async ({ orderId = '' }) => {
          reads.push(orderId)
          return { orderId }
        },
      }),
      implementResource(cup, {
        read: async ({ name = '' }) => {
          if (!cups.includes(name)) throw missing('no_such_cup', `There is no ${name}`)
          return { name }
        },
        list: async (after) => pageOf(cups, 'things://cups', after),
      }),
      implementResource(oven, {
        read: async (_, { signal }) => {
          baking += 1
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          baked += 1
          return {}
        },
      }),
      implementResource(shelf, { read: async () => ({ cups: cups.length }) }),
      implementResource(bowl, {
        read: async ({ name = '' }) => ({ name }),
        list: async (after) => pageOf(bowls.toSorted(), 'things://bowls', after),
      }),
    ]
    server = await testServer({ db, issuer, primitives: { resources } })
    url = server.url
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  const tokenFor = (scope: string, orderId?: string) =>
    issuer.sign({ audience: url, clientId: 'reader', scope, orderId })
  const ask = async (method: string, params: Record<string, unknown>, scope = 'things:read') =>
    askMcp(url, { method, params, token: await tokenFor(scope) })
  const refused = async (response: Response) => {
    const { code } = (await response.json()) as { code?: string }
    return [response.status, code]
  }
  const listAll = async (scope = 'things:read') => {
    const pages: { uri: string }[][] = []
    for (let cursor: string | undefined; pages.length < 20; ) {
      const { result } = await ask('resources/list', cursor === undefined ? {} : { cursor }, scope)
      pages.push(result.resources)
      cursor = result.nextCursor
      if (cursor === undefined) return pages
    }
    throw new Error('The list does not end')
  }

  describe('listing', () => {
    it('goes on in pages through every resource, always in the same order', async () => {
      const pages = await listAll()
      const uris = pages.flat().map(({ uri }) => uri)

      assert.ok(pages.every((page) => page.length <= 61))
      assert.deepEqual(uris, [
        'things://shelf',
        ...bowls.toSorted().map((name) => `things://bowls/${encodeURIComponent(name)}`),
        ...cups.map((name) => `things://cups/${encodeURIComponent(name)}`),
      ])
      assert.deepEqual(await listAll(), pages)
    })

    it('shows nothing out of scope, neither resources nor templates', async () => {
      const templates = async (scope: string) => {
        const { result } = await ask('resources/templates/list', {}, scope)
        return result.resourceTemplates.map((t: { uriTemplate: string }) => t.uriTemplate)
      }

      assert.deepEqual(await templates('things:read'), [
        'things://bowls/{name}',
        'things://cups/{name}',
      ])
      assert.deepEqual(await templates('parcels:read'), ['parcels://{orderId}'])
      assert.deepEqual((await listAll('parcels:read')).flat(), [])
    })

    it('refuses a cursor that is not one of ours', async () => {
      const foreign = (position: unknown) =>
        Buffer.from(JSON.stringify(position)).toString('base64url')
      const cursors = ['', 'x', foreign([99]), foreign([-1]), foreign({}), foreign(null)]
      cursors.push(foreign(['nobody', null]), foreign(['cup', 7]), 'A'.repeat(5_000))
      // One of a list that shows more: it names a resource that this caller may not see.
      cursors.push(foreign(['parcel', null]))

      for (const cursor of cursors) {
        const { error } = await ask('resources/list', { cursor })
        assert.equal(error?.data?.code, 'bad_cursor', cursor)
        assert.equal(error.code, -32_602)
      }
    })

    it('says how long an answer may be kept, and by whom', async () => {
      const list = await ask('resources/list', {})
      const templates = await ask('resources/templates/list', {})
      const read = await ask('resources/read', { uri: 'things://shelf' })

      const kept = ({ result }: { result: { ttlMs: number; cacheScope: string } }) => [
        result.ttlMs,
        result.cacheScope,
      ]
      assert.deepEqual(kept(list), [0, 'private'])
      assert.deepEqual(kept(templates), [60_000, 'private'])
      assert.deepEqual(kept(read), [5_000, 'private'])
    })
  })

  describe('reading', () => {
    it('gives what the URI names, decoded', async () => {
      const uri = 'things://bowls/bowl%2F1'
      const { result } = await ask('resources/read', { uri })

      assert.deepEqual(result.contents, [
        { uri, mimeType: 'application/json', text: '{"name":"bowl/1"}' },
      ])
    })

    it('refuses what is no resource, and tells what is not there', async () => {
      const uris = ['things://cups', 'things://cups/a/b', 'things://cups/%', 'things://cups/']
      uris.push(`things://cups/${'x'.repeat(60)}`, `things://cups/${'x'.repeat(600)}`, 'other://x')
      uris.push('xthings://shelf', 'things://shelf?a=1', 'THINGS://SHELF')

      for (const uri of uris) {
        const { error } = await ask('resources/read', { uri })
        assert.equal(error?.data?.code, 'no_such_resource', uri)
        assert.equal(error.data.uri, uri)
      }
      const { error } = await ask('resources/read', { uri: 'things://cups/none' })
      assert.deepEqual(
        [error.code, error.data.kind, error.data.code],
        [-32_602, 'missing', 'no_such_cup'],
      )
    })

    it('answers 403 with a challenge to a token without the scope', async () => {
      reads = []
      const response = await postMcp(url, {
        method: 'resources/read',
        params: { uri: `parcels://${randomUUID()}` },
        token: await tokenFor('things:read'),
      })

      assert.equal(response.status, 403)
      const challenge = response.headers.get('www-authenticate') ?? ''
      assert.match(challenge, /insufficient_scope.*scope="parcels:read"/)
      assert.deepEqual(reads, [])
    })

    it("refuses an order's resource to the token of another order, and to one of none", async () => {
      reads = []
      const orderId = randomUUID()
      const read = async (token: string) =>
        postMcp(url, { method: 'resources/read', params: { uri: `parcels://${orderId}` }, token })

      const other = await read(await tokenFor('parcels:read', randomUUID()))
      const unbound = await read(await tokenFor('parcels:read'))
      assert.deepEqual(await refused(other), [403, 'order_not_bound'])
      assert.deepEqual(await refused(unbound), [403, 'order_not_bound'])
      assert.deepEqual(reads, [])

      const own = await (await read(await tokenFor('parcels:read', orderId))).text()
      assert.match(own, new RegExp(`{\\\\"orderId\\\\":\\\\"${orderId}`))
      assert.deepEqual(reads, [orderId])
    })

    it("refuses what belongs to no order to an order's token", async () => {
      const token = await tokenFor('things:read', randomUUID())
      const params = { uri: 'things://shelf' }
      const response = await postMcp(url, { method: 'resources/read', params, token })
      assert.deepEqual(await refused(response), [403, 'order_not_bound'])
    })
  })

  describe('watching', () => {
    const listen = async (resourceSubscriptions: unknown, token: string) => {
      const params = { notifications: { resourceSubscriptions } }
      const response = await postMcp(url, { method: 'subscriptions/listen', params, token })
      const type = response.headers.get('content-type') ?? ''
      const isRefusal = type.includes('json')
      const body = isRefusal ? ((await response.json()) as { code?: string; next?: string }) : {}
      if (!isRefusal) await response.body?.cancel()
      return { status: response.status, type, ...body }
    }

    it('is granted for what can be read', async () => {
      const granted = await listen(['things://shelf'], await tokenFor('things:read'))
      assert.equal(granted.status, 200)
      assert.match(granted.type, /event-stream/)
    })

    it('is refused for what is no resource or is not there', async () => {
      const token = await tokenFor('things:read')
      const unknown = await listen(['things://shelf', 'other://x'], token)
      const absent = await listen(['things://cups/none'], token)

      assert.deepEqual([unknown.status, unknown.code], [404, 'no_such_resource'])
      assert.deepEqual([absent.status, absent.code], [404, 'no_such_cup'])
    })

    it('is refused out of scope, and for another order', async () => {
      reads = []
      const uri = `parcels://${randomUUID()}`
      const outside = await listen(['things://shelf', uri], await tokenFor('things:read'))
      const other = await listen([uri], await tokenFor('parcels:read', randomUUID()))

      assert.equal(outside.status, 403)
      assert.deepEqual([other.status, other.code], [403, 'order_not_bound'])
      assert.deepEqual(reads, [])
    })

    it('is refused for more than a hundred at once', async () => {
      const token = await tokenFor('things:read')
      const hundred = cups.slice(0, 100).map((name) => `things://cups/${encodeURIComponent(name)}`)

      assert.equal((await listen(hundred, token)).status, 200)
      const more = await listen([...hundred, 'things://shelf'], token)
      assert.deepEqual([more.status, more.code], [400, 'too_many_watched'])
    })

    it('is refused beyond a share of the streams, which one client alone cannot use up', async () => {
      const watch = async (clientId: string) => {
        const token = await issuer.sign({ audience: url, clientId, scope: 'things:read' })
        const params = { notifications: { resourceSubscriptions: ['things://shelf'] } }
        return postMcp(url, { method: 'subscriptions/listen', params, token })
      }
      const open = await Promise.all(Array.from({ length: 128 }, () => watch('greedy')))
      const [more, other] = [await watch('greedy'), await watch('modest')]

      assert.ok(open.every(({ status }) => status === 200))
      assert.equal(more.status, 429)
      assert.deepEqual(await refused(more), [429, 'too_many_streams'])
      assert.ok(Number(more.headers.get('retry-after')) > 0)
      assert.equal(other.status, 200)
      await Promise.all([...open, other].map(({ body }) => body?.cancel()))
      const untilFree = { what: 'a stream of the client to be free again' }
      await waitFor(async () => {
        const again = await watch('greedy')
        await again.body?.cancel()
        return again.status === 200
      }, untilFree)
    })

    it('keeps no stream of one who has gone before it was granted', async () => {
      const scope = 'ovens:read things:read'
      const token = await issuer.sign({ audience: url, clientId: 'hasty', scope })
      const watch = (uri: string, signal = AbortSignal.timeout(10_000)) => {
        const params = { notifications: { resourceSubscriptions: [uri] } }
        return postMcp(url, { method: 'subscriptions/listen', params, token, signal })
      }
      const leaving = new AbortController()
      const left = Array.from({ length: 128 }, () => watch('things://oven', leaving.signal))
      await waitFor(() => baking === 128, { what: 'all of them to be read for' })
      leaving.abort()
      await Promise.allSettled(left)
      await waitFor(() => baked === 128, { what: 'the server to see that they have gone' })

      const one = await watch('things://shelf')
      await one.body?.cancel()
      assert.equal(one.status, 200)
    })

    it('is refused under a spelling that no change is told under', async () => {
      const orderId = 'ABCDEF00-0000-4000-8000-00000000000A'
      const bound = await tokenFor('parcels:read', orderId.toLowerCase())
      const shouted = await listen([`parcels://${orderId}`], bound)
      const encoded = await listen(['things://cups/%63up%20000'], await tokenFor('things:read'))

      assert.deepEqual([shouted.status, shouted.code], [400, 'uri_not_canonical'])
      assert.equal(shouted.next, `Watch parcels://${orderId.toLowerCase()}`)
      assert.equal(encoded.next, 'Watch things://cups/cup%20000')
    })

    it('ends for our own client with the code of the refusal', async () => {
      const options = { baseUrl: url, authorize: issuer.authorize(url), contract: cup }
      const absent = startWatching({ ...options, variables: { name: 'none' } })
      await assert.rejects(absent.done, { kind: 'missing', code: 'no_such_cup' })

      const asAnother = (call: { scope: string }) =>
        issuer.sign({ audience: url, clientId: 'c', scope: call.scope, orderId: randomUUID() })
      const variables = { orderId: randomUUID() }
      const foreign = startWatching({
        ...{ ...options, authorize: asAnother, contract: parcel, variables },
      })
      await assert.rejects(foreign.done, { kind: 'denied', code: 'order_not_bound' })
      assert.deepEqual([absent.values, foreign.values], [[], []])
    })
  })

  describe('to a client of the 2025 era', () => {
    it('are listed and read just the same', async () => {
      const client = await oldClient(url, await tokenFor('things:read'))

      const first = await client.listResources()
      const second = await client.listResources({ cursor: first.nextCursor })
      const { resourceTemplates } = await client.listResourceTemplates()
      const { contents } = await client.readResource({ uri: 'things://shelf' })
      await client.close()

      assert.equal(first.resources[0]?.uri, 'things://shelf')
      assert.equal(second.resources[0]?.uri, 'things://cups/cup%20000')
      assert.equal(resourceTemplates.length, 2)
      assert.deepEqual(JSON.parse((contents[0] as { text: string }).text), { cups: 150 })
    })

    it('cannot be watched, which it is told before it tries', async () => {
      const client = await oldClient(url, await tokenFor('things:read'))
      const { resources } = client.getServerCapabilities() ?? {}

      assert.equal(resources?.subscribe ?? false, false)
      await assert.rejects(client.subscribeResource({ uri: 'things://shelf' }))
      await client.close()
      const response = await fetch(new URL('/mcp', url), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${await tokenFor('things:read')}`,
        },
        body: JSON.stringify({
          ...{ jsonrpc: '2.0', id: 1, method: 'resources/subscribe' },
          params: { uri: 'things://shelf' },
        }),
      })
      assert.match(await response.text(), /-32601/)
    })
  })
})
