import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { get } from 'node:http'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import type { buildAnswer } from '../../orchestrator/answer.ts'
import { authenticateBy, identifyLocally } from '../../orchestrator/caller.ts'
import { commitOrder, finishOrder, readOrder } from '../../orchestrator/order-store.ts'
import { missing, unavailable } from '../../platform/errors.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createHttpProcess } from '../../platform/service.ts'
import { waitFor } from '../support/wait-for.ts'
import { boughtLabel } from './support/answers.ts'
import { parseEvents } from './support/event-stream.ts'
import { publicUrl, startTestOrchestrator, type TestOrchestrator } from './support/orchestrator.ts'
import { endOf, placeOrder } from './support/orders.ts'
import type { Call } from './support/services.ts'

type Answer = Awaited<ReturnType<typeof buildAnswer>>
const body = { sku: 'mug', qty: 2, customer: 'Ada Lovelace' }
const all = 'orders:submit orders:read orders:cancel'

describe('the orchestrator over HTTP', () => {
  let orchestrator: TestOrchestrator
  let acme: { authorization: string }
  let bolt: { authorization: string }
  let gates: (() => void)[] = []

  before(async () => {
    orchestrator = await startTestOrchestrator()
    acme = await orchestrator.token('acme', all)
    bolt = await orchestrator.token('bolt', all)
  })
  after(() => orchestrator[Symbol.asyncDispose]())
  beforeEach(() => {
    for (const open of gates) open()
    gates = []
    for (const tool of Object.keys(orchestrator.table)) delete orchestrator.table[tool]
    Object.assign(orchestrator.limits, { inFlightMax: 50, queueMax: 50 })
  })

  const inject = (request: InjectOptions): Promise<LightMyRequestResponse> =>
    orchestrator.app.inject({ ...request, headers: { ...acme, ...request.headers } })
  const submit = (headers: Record<string, string> = {}, payload: object = body) =>
    inject({ method: 'POST', url: '/orchestrate', headers, payload })
  const read = async (orderId: string): Promise<Answer> =>
    (await inject({ url: `/orders/${orderId}` })).json()
  /** From now on reservations wait; what is returned lets them through. */
  const holdReservations = (): (() => void) => {
    const gate = Promise.withResolvers<undefined>()
    orchestrator.table.reserve_stock = () => gate.promise
    const open = () => gate.resolve(undefined)
    gates.push(open)
    return open
  }
  const assertProblem = (response: LightMyRequestResponse, status: number, code: string) => {
    assert.equal(response.statusCode, status, response.body)
    assert.match(String(response.headers['content-type']), /^application\/problem\+json/)
    const problem = response.json()
    assert.equal(problem.code, code)
    assert.equal(problem.status, status)
    assert.equal(problem.type, `urn:baton:problem:${code}`)
    assert.match(problem.traceId, /^[0-9a-f]{32}$/)
    return problem
  }

  describe('POST /orchestrate', () => {
    it('waits for the end and answers with everything that was done', async () => {
      const response = await submit()

      assert.equal(response.statusCode, 200, response.body)
      const answer: Answer = response.json()
      assert.equal(response.headers.location, `/orders/${answer.orderId}`)
      assert.partialDeepStrictEqual(answer, {
        round: 1,
        status: 'fulfilled',
        decision: { by: 'agent', outcome: 'fulfilled' },
        label: {
          trackingNumber: boughtLabel.trackingNumber,
          carrier: 'USPS',
          service: 'Ground',
          costUsd: '7.80',
        },
        order: { lines: [{ sku: 'mug', quantity: 2 }], customer: { name: 'Ada Lovelace' } },
        mode: 'standin',
      })
      assert.equal('code' in answer, false)
      assert.deepEqual(answer.steps.map(({ name }) => name).sort(), [
        'check_inventory',
        'close_order',
        'commit_stock',
        'decide',
        'generate_label',
        'get_stock',
        'open_order',
        'propose_shipment',
        'reserve_stock',
        'validate_order',
      ])
      // Three services' agents at 1,000 nano-USD each and one turn of the deciding one.
      assert.equal(answer.costUsd, '0.000004')
      assert.equal(answer.usage.inputTokens, 400)
    })

    it('names the trace that the caller began', async () => {
      const traceId = '0af7651916cd43dd8448eb211c80319c'
      const response = await submit({ traceparent: `00-${traceId}-b7ad6b7169203331-01` })

      assert.equal(response.json().traceId, traceId)
      assert.ok(orchestrator.services.calls.some(({ options }) => options.traceId === traceId))
    })

    it('answers 202 and where to look at once when asked to', async () => {
      const open = holdReservations()
      const response = await submit({ prefer: 'respond-async' })

      assert.equal(response.statusCode, 202)
      const { orderId, status }: Answer = response.json()
      assert.equal(status, 'running')
      assert.equal(response.headers.location, `/orders/${orderId}`)
      open()
      await waitFor(async () => (await read(orderId)).status === 'fulfilled', { what: 'the end' })
    })

    it('answers 202 when the end does not come within the wait', async () => {
      const open = holdReservations()
      const startedAt = performance.now()
      const response = await submit({ prefer: 'Wait=1, handling=lenient' })

      assert.equal(response.statusCode, 202)
      assert.ok(performance.now() - startedAt >= 990)
      open()
      await waitFor(async () => (await read(response.json().orderId)).status === 'fulfilled', {
        what: 'the end',
      })
    })

    it('ignores a preference that it does not understand', async () => {
      for (const prefer of ['wait=soon', 'wait=-1', 'return=minimal', ',;=', 'wait=99999999']) {
        assert.equal((await submit({ prefer })).statusCode, 200, prefer)
      }
    })

    it('makes one order of one key, and shows its end to every repeat', async () => {
      const key = { 'idempotency-key': randomUUID() }
      const together = await Promise.all(Array.from({ length: 10 }, () => submit(key)))
      const later = await submit({ ...key, prefer: 'respond-async' })

      const ids = new Set([...together, later].map((response) => response.json().orderId))
      assert.equal(ids.size, 1)
      for (const response of [...together, later]) assert.equal(response.statusCode, 200)
      const opened = orchestrator.services.calls.filter(
        ({ tool, input }) => tool === 'generate_label' && ids.has(input.orderId),
      )
      assert.equal(opened.length, 1)
    })

    it('makes an order of its own of every request without a key', async () => {
      const [first, second] = await Promise.all([submit(), submit()])

      assert.notEqual(first.json().orderId, second.json().orderId)
    })

    it('refuses another order under the same key, and keeps clients’ keys apart', async () => {
      const key = { 'idempotency-key': randomUUID() }
      const first = await submit(key)

      assertProblem(await submit(key, { ...body, qty: 3 }), 422, 'idempotency_key_reused')
      const other = await submit({ ...key, ...bolt }, { ...body, qty: 3 })
      assert.equal(other.statusCode, 200)
      assert.notEqual(other.json().orderId, first.json().orderId)
    })

    it('refuses a key that is none', async () => {
      for (const key of ['', 'a b', 'x'.repeat(256), 'schlüssel']) {
        assertProblem(await submit({ 'idempotency-key': key }), 400, 'invalid_idempotency_key')
      }
    })

    it('names every field that is wrong, and stores nothing', async () => {
      const key = { 'idempotency-key': randomUUID() }
      const problem = assertProblem(
        await submit(key, { ...body, qty: 0, discount: 1 }),
        400,
        'invalid_order',
      )

      assert.deepEqual(
        problem.errors.map(({ pointer }: { pointer: string }) => pointer),
        ['/qty', '/discount'],
      )
      assert.equal((await submit(key)).statusCode, 200)
    })

    const post = (payload: string, type = 'application/json') =>
      inject({
        method: 'POST',
        url: '/orchestrate',
        headers: { 'content-type': type },
        payload,
      })

    it('refuses what is not JSON, or JSON with a prototype in it', async () => {
      for (const payload of ['', '{', 'hello', '{"__proto__":{"qty":1}}', '[1,]']) {
        assertProblem(await post(payload), 400, 'malformed_request')
      }
      for (const payload of ['null', '[]', '5', '"text"', '['.repeat(9_000) + ']'.repeat(9_000)]) {
        assertProblem(await post(payload), 400, 'invalid_order')
      }
    })

    it('refuses a body above 64 KiB and a type that it does not take', async () => {
      const large = JSON.stringify({ ...body, note: 'a'.repeat(65 * 1024) })

      assertProblem(await post(large), 413, 'body_too_large')
      assertProblem(await post('<order/>', 'application/xml'), 415, 'unsupported_media_type')
      assertProblem(await post('qty=1', 'text/plain'), 415, 'unsupported_media_type')
    })

    it('is told to come back when too many wait, while repeats are answered', async () => {
      const key = { 'idempotency-key': randomUUID() }
      const first = await submit(key)
      Object.assign(orchestrator.limits, { inFlightMax: 0, queueMax: 0 })
      const before = (await orchestrator.pool.query('select 1 from customer_order')).rowCount

      for (const prefer of ['respond-async', 'wait=1']) {
        const response = await submit({ prefer, 'idempotency-key': randomUUID() })
        assertProblem(response, 429, 'overloaded')
        assert.match(String(response.headers['retry-after']), /^[1-9]\d*$/)
      }
      assertProblem(await submit(), 429, 'overloaded')
      const repeat = await submit(key)

      assert.equal(repeat.statusCode, 200)
      assert.equal(repeat.json().orderId, first.json().orderId)
      assertProblem(await submit(key, { ...body, qty: 3 }), 422, 'idempotency_key_reused')
      const stored = await orchestrator.pool.query('select 1 from customer_order')
      assert.equal(stored.rowCount, before)
    })

    it('queues what does not run at once, with the same end', async () => {
      orchestrator.limits.inFlightMax = 0

      const response = await submit()

      assert.equal(response.json().status, 'fulfilled')
    })

    it('says why an order ended otherwise', async () => {
      orchestrator.table.propose_shipment = unavailable('deadline_exceeded', 'No answer in time')
      const answer: Answer = (await submit()).json()

      assert.partialDeepStrictEqual(answer, { status: 'held', code: 'dependency_unavailable' })
      const failed = answer.steps.find(({ name }) => name === 'propose_shipment')
      assert.partialDeepStrictEqual(failed, {
        state: 'failed',
        attempts: 1,
        error: { kind: 'unavailable', code: 'deadline_exceeded' },
      })
      assert.equal('label' in answer, false)
    })
  })

  describe('who may do what', () => {
    const routes: [method: 'GET' | 'POST', url: string, scope: string][] = [
      ['POST', '/orchestrate', 'orders:submit'],
      ['GET', '/orders', 'orders:read'],
      ['GET', `/orders/${randomUUID()}`, 'orders:read'],
      ['GET', `/orders/${randomUUID()}/events`, 'orders:read'],
      ['POST', `/orders/${randomUUID()}/cancel`, 'orders:cancel'],
    ]
    for (const [method, url, scope] of routes) {
      it(`is asked of every caller of ${method} ${url.replace(/[0-9a-f-]{36}/, ':id')}`, async () => {
        const ask = async (headers: Record<string, string>) =>
          orchestrator.app.inject({ method, url, headers })
        const others = all.replace(scope, 'other')

        const none = await ask({})
        assertProblem(none, 401, 'missing_token')
        assert.match(String(none.headers['www-authenticate']), /^Bearer /)
        assertProblem(await ask({ authorization: 'Bearer abc' }), 401, 'invalid_token')
        assertProblem(await ask({ authorization: 'Basic abc' }), 401, 'missing_token')
        const foreign = await orchestrator.token('acme', all, 'http://127.0.0.1:3000')
        assertProblem(await ask(foreign), 401, 'invalid_token')
        const weak = await ask(await orchestrator.token('acme', others))
        assertProblem(weak, 403, 'insufficient_scope')
        assert.match(String(weak.headers['www-authenticate']), new RegExp(`scope="${scope}"`))
        for (const { headers } of [none, weak]) {
          assert.match(String(headers['www-authenticate']), /, resource_metadata="http[^"]*"$/)
        }
      })
    }

    it('hides the orders of one client from another', async () => {
      const { orderId } = (await submit()).json()
      const asked: [method: 'GET' | 'POST', path: string][] = [
        ['GET', ''],
        ['GET', '/events'],
        ['POST', '/cancel'],
      ]

      for (const [method, path] of asked) {
        const url = `/orders/${orderId}${path}`
        const foreign = await inject({ method, url, headers: bolt })
        const unknown = await inject({
          method,
          url: `/orders/${randomUUID()}${path}`,
          headers: bolt,
        })
        assertProblem(foreign, 404, 'no_such_order')
        assert.equal(unknown.statusCode, 404)
      }
      const theirs = await inject({ url: '/orders?limit=100', headers: bolt })
      assert.ok(!theirs.body.includes(orderId))
    })

    it('shows all of them to who may see all', async () => {
      const { orderId } = (await submit()).json()
      const headers = await orchestrator.token('ops', `${all} orders:read:all`)

      assert.equal((await inject({ url: `/orders/${orderId}`, headers })).statusCode, 200)
      assert.ok((await inject({ url: '/orders', headers })).body.includes(orderId))
      const cancel = await inject({ method: 'POST', url: `/orders/${orderId}/cancel`, headers })
      assertProblem(cancel, 404, 'no_such_order')
    })

    it('publishes public keys only, the same on every replica', async () => {
      const response = await orchestrator.app.inject({ url: '/.well-known/jwks.json' })

      assert.equal(response.statusCode, 200)
      const { keys } = response.json()
      assert.ok(keys.length > 0)
      for (const key of keys) {
        assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
      }
      assert.deepEqual((await orchestrator.replicaIssuer()).jwks(), { keys })
    })
  })

  describe('without tokens', () => {
    const { app } = createHttpProcess({
      log: createLog('test', 'silent'),
      metrics: createMetrics('test'),
      checkReady: async () => {},
    })
    const authenticate = authenticateBy(identifyLocally(`${publicUrl}:8443`))
    app.get('/who', async (request) => ({
      clientId: (await authenticate(request, 'orders:read')).clientId,
    }))
    after(() => app.close())
    const ask = (headers: Record<string, string>) => app.inject({ url: '/who', headers })

    const ours = ['localhost', '127.0.0.1:8080', '[::1]:8080', 'LOCALHOST:1', 'orders.example']
    const others = [
      'evil.example',
      'evil.example:8080',
      'localhost.evil.example',
      '127.0.0.1.evil.example:8080',
      'localhost@evil.example',
      '192.168.0.7:8080',
      ':8080',
    ]

    it('serves this machine under its own names', async () => {
      for (const host of ours) {
        assert.equal((await ask({ host })).json().clientId, 'local', host)
        for (const origin of ours.map((name) => `http://${name}`)) {
          assert.equal((await ask({ host, origin })).statusCode, 200, `${origin} at ${host}`)
        }
      }
    })

    it('refuses a page that rebound its name to this machine', async () => {
      for (const host of others) {
        const { next } = assertProblem(await ask({ host }), 403, 'foreign_host')
        assert.match(next, /localhost, 127\.0\.0\.1, \[::1\], orders\.example/)
      }
    })

    it('refuses pages of other sites', async () => {
      const origins = [...others.map((name) => `https://${name}`), 'null', '', 'localhost']
      for (const origin of origins) {
        const response = await ask({ host: 'localhost:8080', origin })
        assertProblem(response, 403, 'foreign_origin')
      }
    })
  })

  describe('GET /orders', () => {
    it('lists a client’s orders page by page, newest first', async () => {
      const headers = await orchestrator.token('lister', all)
      const ids: string[] = []
      for (let i = 0; i < 5; i++) {
        ids.push((await placeOrder(orchestrator.pool, { clientId: 'lister' })).orderId)
      }
      const [ended] = ids
      await finishOrder(orchestrator.pool, ended ?? '', 1, endOf('held', 'over_limit'))

      const seen: string[] = []
      let cursor = ''
      for (let pages = 0; pages < 10; pages++) {
        const page = (await inject({ url: `/orders?limit=2${cursor}`, headers })).json()
        seen.push(...page.orders.map(({ orderId }: { orderId: string }) => orderId))
        if (page.nextCursor === null) break
        cursor = `&cursor=${page.nextCursor}`
      }

      assert.deepEqual(seen, ids.toReversed())
      const held = (await inject({ url: '/orders?status=held', headers })).json()
      assert.partialDeepStrictEqual(held.orders, [{ orderId: ended, code: 'over_limit' }])
      assert.equal(held.orders.length, 1)
    })

    for (const query of [
      'limit=0',
      'limit=101',
      'limit=x',
      'status=lost',
      'cursor=abc',
      'cursor=e30',
      `cursor=${Buffer.from('{"createdAt":"now","orderId":"1"}').toString('base64url')}`,
      'sort=asc',
      'status=held&status=stuck',
    ]) {
      it(`refuses ${query.slice(0, 30)}`, async () => {
        assertProblem(await inject({ url: `/orders?${query}` }), 400, 'invalid_query')
      })
    }

    it('refuses an id that is no UUID before anything is asked', async () => {
      for (const path of ['', '/events']) {
        const url = `/orders/1%27%20or%20true${path}`
        assertProblem(await inject({ url }), 400, 'invalid_order_id')
      }
    })
  })

  describe('POST /orders/:id/cancel', () => {
    const cancel = (orderId: string) => inject({ method: 'POST', url: `/orders/${orderId}/cancel` })

    it('is accepted while the order runs, also twice, and undoes it', async () => {
      const open = holdReservations()
      const { orderId } = (await submit({ prefer: 'respond-async' })).json()

      assert.equal((await cancel(orderId)).statusCode, 202)
      assert.equal((await cancel(orderId)).statusCode, 202)
      open()
      await waitFor(async () => (await read(orderId)).status !== 'running', { what: 'the end' })

      assert.partialDeepStrictEqual(await read(orderId), {
        status: 'cancelled',
        code: 'cancelled_by_client',
        decision: { by: 'client' },
      })
      assert.equal((await cancel(orderId)).statusCode, 202)
    })

    it('comes too late for an order that went forward', async () => {
      const { orderId } = await placeOrder(orchestrator.pool, { clientId: 'acme' })
      await commitOrder(orchestrator.pool, orderId, 1)

      assertProblem(await cancel(orderId), 409, 'too_late')
      assert.equal((await readOrder(orchestrator.pool, orderId)).phase, 'committed')
    })

    it('takes the JSON of a client that sends none, but not what is no JSON', async () => {
      const { orderId } = await placeOrder(orchestrator.pool, { clientId: 'acme' })
      const url = `/orders/${orderId}/cancel`
      const headers = { 'content-type': 'application/json' }
      const post = (payload: string) => inject({ method: 'POST', url, headers, payload })

      assertProblem(await post('{'), 400, 'malformed_request')
      assertProblem(await post('{"__proto__":{"a":1}}'), 400, 'malformed_request')
      assert.equal((await readOrder(orchestrator.pool, orderId)).phase, 'open')
      assert.equal((await post('')).statusCode, 202)
      assert.equal((await post('{}')).statusCode, 202)

      const late = await placeOrder(orchestrator.pool, { clientId: 'acme' })
      await commitOrder(orchestrator.pool, late.orderId, 1)
      const tooLate = await inject({
        method: 'POST',
        url: `/orders/${late.orderId}/cancel`,
        headers,
      })
      assertProblem(tooLate, 409, 'too_late')
    })
  })

  describe('GET /orders/:id/events', () => {
    let origin = ''
    before(async () => {
      origin = await orchestrator.app.listen({ host: '127.0.0.1', port: 0 })
    })

    const stream = (orderId: string, headers: Record<string, string> = {}) =>
      inject({ url: `/orders/${orderId}/events`, headers })

    it('tells everything that happened, and ends with the order', async () => {
      const { orderId } = (await submit()).json()

      const response = await stream(orderId)

      assert.equal(response.headers['content-type'], 'text/event-stream')
      const events = parseEvents(response.body)
      assert.deepEqual(
        events.map(({ id }) => id),
        events.map((_, i) => i + 1),
      )
      assert.equal(events.at(-1)?.type, 'order_finished')
      assert.deepEqual(events.at(-1)?.data.status, 'fulfilled')
    })

    it('goes on after the last event that a client has seen', async () => {
      const { orderId } = (await submit()).json()
      const everything = parseEvents((await stream(orderId)).body)

      const rest = await stream(orderId, { 'last-event-id': '5' })
      const nothing = await stream(orderId, { 'last-event-id': String(everything.length) })

      assert.deepEqual(parseEvents(rest.body), everything.slice(5))
      assert.deepEqual(parseEvents(nothing.body), [])
    })

    it('starts over for a last event that never was', async () => {
      const { orderId } = (await submit()).json()
      const everything = parseEvents((await stream(orderId)).body)

      for (const id of ['', 'x', '-5', '1.5', '1e300', '99999999999', 'Infinity', '0x']) {
        const response = await stream(orderId, { 'last-event-id': id })
        assert.deepEqual(parseEvents(response.body), everything, id)
      }
    })

    it('follows an order as it goes, for a client that goes away and comes back', async () => {
      const open = holdReservations()
      const { orderId } = (await submit({ prefer: 'respond-async' })).json()
      const url = `${origin}/orders/${orderId}/events`
      const follow = (lastSeen: number) => {
        const seen = { text: '', ended: false }
        const headers = { ...acme, 'last-event-id': String(lastSeen) }
        const request = get(url, { headers }, (response) => {
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            seen.text += chunk
          })
          response.on('error', () => {})
          response.on('end', () => {
            seen.ended = true
          })
        })
        request.on('error', () => {})
        return { seen, leave: () => request.destroy() }
      }

      const first = follow(0)
      await waitFor(() => parseEvents(first.seen.text).length >= 2, { what: 'the first events' })
      first.leave()
      const last = parseEvents(first.seen.text).at(-1)?.id ?? 0
      open()
      const second = follow(last)
      await waitFor(() => second.seen.ended, { what: 'the end of the stream' })

      const events = [...parseEvents(first.seen.text), ...parseEvents(second.seen.text)]
      assert.deepEqual(
        events.map(({ id }) => id),
        events.map((_, i) => i + 1),
      )
      assert.equal(events.at(-1)?.data.status, 'fulfilled')
    })

    it('leaves no listener behind when a client leaves before it was let in', async () => {
      const open = holdReservations()
      const { orderId } = (await submit({ prefer: 'respond-async' })).json()
      const reserving = async () => orchestrator.services.tools.includes('reserve_stock')
      await waitFor(reserving, { what: 'the order to wait' })
      const locked = await orchestrator.pool.connect()
      await locked.query('begin')
      await locked.query('lock table customer_order in access exclusive mode')

      const request = get(`${origin}/orders/${orderId}/events`, { headers: acme })
      request.on('error', () => {})
      const isReading = `select 1 from pg_locks l join pg_database d on d.oid = l.database
        where not granted and datname = current_database()`
      await waitFor(async () => ((await locked.query(isReading)).rowCount ?? 0) > 0, {
        what: 'the read of the order',
      })
      const before = orchestrator.watch.watchers
      const closed = new Promise((resolve) => request.once('close', resolve))
      request.destroy()
      await closed
      await locked.query('commit')
      locked.release()

      // Another one comes in later and is heard of, so the first has been dealt with by then.
      await read(orderId)
      await waitFor(() => orchestrator.watch.watchers === before, { what: 'nobody to watch' })
      assert.equal((await read(orderId)).status, 'running')
      open()
    })

    it('leaves no listener behind when a crowd of clients leaves in the middle', async () => {
      const open = holdReservations()
      const { orderId } = (await submit({ prefer: 'respond-async' })).json()
      const url = `${origin}/orders/${orderId}/events`
      const leaving = Array.from({ length: 30 }, () => {
        const request = get(url, { headers: acme }, (response) => {
          response.on('error', () => {})
          response.once('data', () => request.destroy())
        })
        request.on('error', () => {})
        return request
      })

      await waitFor(() => leaving.every(({ destroyed }) => destroyed), { what: 'all to leave' })
      open()

      await waitFor(async () => (await read(orderId)).status === 'fulfilled', { what: 'the end' })
    })
  })

  describe('GET /labels/:key.pdf', () => {
    const pdf = Buffer.from('%PDF-1.7 a label')
    const shows = (documentBase64: string | null) => {
      orchestrator.table.get_shipment = ({ input }: Call) => ({
        ...{ orderId: input.orderId, round: input.round, state: 'bought', label: boughtLabel },
        ...{ refund: 'none', documentBase64 },
      })
    }
    const pathOf = (answer: Answer) => ('label' in answer ? answer.label?.url : '') ?? ''

    it('opens in a browser without a token, by the link of the answer only', async () => {
      shows(pdf.toString('base64'))
      const answer: Answer = (await submit()).json()
      const url = pathOf(answer)
      assert.ok(url.startsWith(`${publicUrl}/labels/`))
      assert.ok(!url.includes(answer.orderId))

      const response = await orchestrator.app.inject({ url: url.slice(publicUrl.length) })

      assert.equal(response.statusCode, 200)
      assert.equal(response.headers['content-type'], 'application/pdf')
      assert.match(String(response.headers['cache-control']), /private/)
      assert.deepEqual(response.rawPayload, pdf)
      const asked = orchestrator.services.calls.findLast(({ tool }) => tool === 'get_shipment')
      assert.equal(asked?.options.orderId, answer.orderId)
      for (const key of [answer.orderId, randomUUID(), 'x', '..%2f..%2fetc%2fpasswd']) {
        const none = await orchestrator.app.inject({ url: `/labels/${key}.pdf` })
        assertProblem(none, 404, 'no_such_label')
      }
    })

    it('is not there while nothing was bought, and away while fulfillment is', async () => {
      const url = pathOf((await submit()).json()).slice(publicUrl.length)
      shows(null)
      assertProblem(await orchestrator.app.inject({ url }), 404, 'no_such_label')
      orchestrator.table.get_shipment = missing('no_shipment', 'There is no shipment')
      assertProblem(await orchestrator.app.inject({ url }), 404, 'no_shipment')
      orchestrator.table.get_shipment = unavailable('dependency_unavailable', 'It is away')
      assertProblem(await orchestrator.app.inject({ url }), 503, 'dependency_unavailable')
    })
  })

  describe('a process that begins to stop', () => {
    it('answers who waits with what is known', async () => {
      const open = holdReservations()
      const waiting = submit()
      await waitFor(() => orchestrator.services.tools.at(-1) === 'reserve_stock', {
        what: 'the reservation',
      })

      orchestrator.drain()

      const response = await waiting
      assert.equal(response.statusCode, 202)
      assert.equal(response.json().status, 'running')
      open()
    })
  })
})
