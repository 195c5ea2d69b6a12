import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type FastifyInstance, fastify } from 'fastify'
import { JwksCache, jwksTiming } from '../../platform/jwks-cache.ts'
import { waitFor } from '../support/wait-for.ts'

const unavailable = { kind: 'unavailable', code: 'issuer_unavailable' }
const { ageMax, staleMax, cooldown, retry } = jwksTiming
const key = (kid: string) => ({ kty: 'EC', kid })

describe('the keys of an issuer, as a verifier keeps them', () => {
  let app: FastifyInstance
  let cache: JwksCache
  let asked: number
  let published: unknown
  let isAway: boolean
  let nowMs: number

  beforeEach(async () => {
    asked = 0
    isAway = false
    nowMs = 0
    published = { keys: [key('a')] }
    app = fastify({ forceCloseConnections: true })
    app.get('/jwks', async (_request, reply) => {
      asked += 1
      return isAway ? reply.code(503).send('away') : published
    })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    cache = new JwksCache(new URL('/jwks', url), {}, () => nowMs)
  })
  afterEach(() => app.close())

  const kids = async (kid = 'a') => (await cache.keysFor(kid)).keys.map((one) => one.kid)

  it('are fetched once for all who ask at once, and again when they are due', async () => {
    await Promise.all(Array.from({ length: 50 }, () => kids()))
    nowMs = ageMax - 1
    await kids()
    assert.equal(asked, 1)

    published = { keys: [key('a'), key('b')] }
    nowMs = ageMax
    const found = await Promise.all(Array.from({ length: 50 }, () => kids()))

    assert.deepEqual(found[49], ['a', 'b'])
    assert.equal(asked, 2)
  })

  it('are asked for once a cooldown, however many unknown ids come; known ones never wait', async () => {
    await kids()

    nowMs += cooldown
    const flood = Array.from({ length: 1_000 }, (_, i) => kids(`random-${i}`))
    const known = await kids()
    await Promise.all(flood)
    for (let i = 0; i < 1_000; i += 1) await kids(`later-${i}`)

    assert.deepEqual(known, ['a'])
    assert.equal(asked, 2)
    nowMs += cooldown
    await kids('random')
    assert.equal(asked, 3)
  })

  it('include a new one as soon as somebody asks for it, outside the cooldown', async () => {
    await kids()
    published = { keys: [key('a'), key('b')] }

    assert.deepEqual(await kids('b'), ['a'])
    nowMs += cooldown

    assert.deepEqual(await kids('b'), ['a', 'b'])
  })

  it('serve on for an hour while the issuer is away, without waiting for it, then no more', async () => {
    await kids()
    isAway = true

    nowMs = ageMax
    for (let i = 0; i < 100; i += 1) assert.deepEqual(await kids(), ['a'])
    assert.equal(asked, 2)

    nowMs = ageMax + staleMax - 1
    assert.deepEqual(await kids(), ['a'])
    await waitFor(() => asked === 3, { what: 'a fetch beside' })

    nowMs = ageMax + staleMax + retry
    await assert.rejects(kids(), unavailable)
  })

  it('are new again once the issuer is back', async () => {
    await kids()
    isAway = true
    nowMs = ageMax
    await kids()
    isAway = false
    published = { keys: [key('b')] }

    nowMs += cooldown
    assert.deepEqual(await kids(), ['a'])

    await waitFor(async () => (await kids('b'))[0] === 'b', { what: 'the new key' })
  })

  it('cannot be said to lack one while the issuer is away', async () => {
    await kids()
    isAway = true
    nowMs += cooldown

    await assert.rejects(kids('b'), unavailable)
    await assert.rejects(kids('b'), unavailable)
    assert.deepEqual(await kids('a'), ['a'])
    assert.equal(asked, 2)
  })

  it('are not fetched without pause when there are none at all', async () => {
    isAway = true

    for (let i = 0; i < 100; i += 1) await assert.rejects(kids(), unavailable)
    assert.equal(asked, 1)

    isAway = false
    nowMs += retry
    assert.deepEqual(await kids(), ['a'])
  })

  for (const [what, answer] of [
    ['no keys', { error: 'busy' }],
    ['too many', { keys: Array.from({ length: 101 }, (_, i) => key(String(i))) }],
    ['too much', { keys: [{ ...key('a'), x: 'x'.repeat(300_000) }] }],
  ] as const) {
    it(`are not taken from an answer with ${what}`, async () => {
      published = answer

      await assert.rejects(kids(), unavailable)
    })
  }
})
