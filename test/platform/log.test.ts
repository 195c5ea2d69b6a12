import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import Anthropic from '@anthropic-ai/sdk'
import { unavailable } from '../../platform/errors.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createHttpProcess } from '../../platform/service.ts'
import { inWork, outsideWork } from '../../platform/work.ts'
import { testDatabase } from '../support/database.ts'

/** What a log line says about an error. */
interface Logged {
  readonly err: Record<string, unknown>
}

function collect() {
  const lines: string[] = []
  const log = createLog('test', 'debug', { write: (line) => lines.push(line) })
  const last = () => JSON.parse(lines.at(-1) ?? '{}') as Logged
  return { log, lines, last }
}

describe('a log line about an error', () => {
  let db: Awaited<ReturnType<typeof testDatabase>>
  before(async () => {
    db = await testDatabase('services/order/migrations')
    await db.query(`create table person (email text primary key, age integer check (age > 0))`)
    await db.query(`insert into person values ('kim@example.com', 30)`)
  })
  after(() => db[Symbol.asyncDispose]())

  for (const [name, sql] of [
    ['person_pkey', `insert into person values ('kim@example.com', 31)`],
    ['person_age_check', `insert into person values ('kim@example.com', -1)`],
  ] as const) {
    it(`names the constraint ${name} and never the row`, async () => {
      const { log, lines, last } = collect()
      const error = await db.query(sql).catch((cause: unknown) => cause)

      log.error({ err: error }, 'failed')
      log.error({ err: unavailable('busy', 'Busy', { cause: error }) }, 'failed')

      assert.equal(lines.length, 2)
      assert.doesNotMatch(lines.join(), /kim@example/)
      const cause = last().err.cause as Record<string, unknown>
      assert.equal(cause.constraint, name)
      assert.match(String(cause.message), /violates/)
      assert.match(String(cause.stack), /log\.test|pg/)
      assert.equal(last().err.kind, 'unavailable')
      assert.equal(last().err.code, 'busy')
    })
  }

  it('carries no headers and no body, of Claude or anybody', () => {
    const { log, lines } = collect()
    const headers = new Headers({ authorization: 'Bearer secret-1' })
    const body = { type: 'error', error: { type: 'x', message: 'No' } }
    const error = Anthropic.APIError.generate(400, body, undefined, headers)
    const request = { headers: { authorization: 'Bearer secret-3', 'x-api-key': 'secret-4' } }
    const sent = { ...request, body: { prompt: 'secret-2' } }

    log.warn({ err: Object.assign(error, { request: sent }) }, 'failed')
    log.warn({ err: new Error('outer', { cause: error }) }, 'failed')
    log.warn({ request }, 'asked')
    log.warn(request, 'asked')

    assert.equal(lines.length, 4)
    assert.doesNotMatch(lines.join(), /secret-/)
  })

  it('follows three causes, also round a circle, and takes what is no error', () => {
    const { log, last, lines } = collect()
    const circle = new Error('round')
    circle.cause = circle
    log.error({ err: circle }, 'failed')
    const err = JSON.stringify(last().err)
    log.error({ err: 'just text' }, 'failed')
    log.error({ err: undefined }, 'failed')

    assert.equal(err.match(/"message":"round"/g)?.length, 4)
    assert.match(String(lines[1]), /"err":"just text"/)
  })

  it('says whose work it is about, along whatever was awaited, and of nobody else’s', async () => {
    const { log, lines } = collect()
    const work = { orderId: 'o-1', traceId: 't-1' }

    await inWork(work, async () => {
      await delay(1)
      await inWork({ step: 'decide', attempt: 2 }, async () => log.info({ found: 1 }, 'looked'))
      log.child({ part: 'child' }).info('outside the step')
      outsideWork(() => log.info('a connection failed'))
      log.info({ traceId: 't-2' }, 'of another trace')
    })
    log.info('nobody’s')

    const told = lines.map((line) => {
      const { orderId, traceId, step, attempt } = JSON.parse(line) as Record<string, unknown>
      return [orderId, traceId, step, attempt]
    })
    assert.deepEqual(told, [
      ['o-1', 't-1', 'decide', 2],
      ['o-1', 't-1', undefined, undefined],
      [undefined, undefined, undefined, undefined],
      ['o-1', 't-2', undefined, undefined],
      [undefined, undefined, undefined, undefined],
    ])
  })

  it('shows neither secrets nor words of people, at whatever depth', () => {
    const { log, lines } = collect()
    const canary = 'canary-7f3a'
    const names = [
      ...['authorization', 'cookie', 'accessToken', 'access_token', 'apiKey', 'password', 'secret'],
      ...['clientSecret', 'client_secret', 'client_assertion', 'x-api-key', 'customer', 'email'],
      ...['phone', 'note', 'address', 'shipTo', 'recipient', 'street1', 'street2'],
    ]
    for (const name of names) {
      log.info({ [name]: canary }, 'one')
      log.info({ order: { [name]: { text: canary } } }, 'two')
      log.info({ orders: [{ inner: { lines: [{ [name]: [canary] }] } }] }, 'deep')
      log.info({ a: { b: { c: { d: { e: { f: { g: canary } } } } } } }, 'deeper than is shown')
    }

    assert.equal(lines.length, names.length * 4)
    assert.doesNotMatch(lines.join(), /canary/)
  })

  it('is as careful in the log of the HTTP server', async () => {
    const { log, last } = collect()
    const { app } = createHttpProcess({
      log,
      metrics: createMetrics('test'),
      checkReady: async () => {},
    })

    app.log.error({ err: Object.assign(new Error('No'), { detail: 'secret' }) }, 'failed')
    await app.close()

    assert.deepEqual(Object.keys(last().err).sort(), ['message', 'stack', 'type'])
  })
})
