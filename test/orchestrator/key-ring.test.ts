import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { fastify } from 'fastify'
import * as jose from 'jose'
import { createIssuer, type Issuer } from '../../orchestrator/issuer.ts'
import { KeyRing } from '../../orchestrator/key-ring.ts'
import { ensureKey, readKeys, rotateKeys } from '../../orchestrator/key-store.ts'
import { keyConfig, keyTiming } from '../../orchestrator/token-config.ts'
import { createTokenVerifier } from '../../platform/access-tokens.ts'
import { ConfigError, readConfig } from '../../platform/config.ts'
import { createPool, type Pool } from '../../platform/db.ts'
import { createLog } from '../../platform/log.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { waitFor } from '../support/wait-for.ts'
import { orchestratorMigrations } from './support/orders.ts'

const encryptionKey = randomBytes(32)
const log = createLog('test', 'silent')
/** An hour each: nothing passes unless a test moves the rows. */
const timing = { lead: 3_600_000, retain: 3_600_000, refresh: 60_000, rotateAfterDays: 30 }

describe('signing keys', () => {
  let db: TestDatabase
  let pool: Pool

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
    pool = createPool(db.url, 10, log)
  })
  after(async () => {
    await pool.end()
    await db[Symbol.asyncDispose]()
  })
  beforeEach(() => db.query('truncate signing_key'))

  const rotate = (olderThanDays?: number) => rotateKeys(pool, encryptionKey, timing, olderThanDays)
  const kids = (keys: readonly { kid?: string | undefined }[]) => keys.map((key) => key.kid)
  /** Time as data: what an hour does to the rows. */
  const pass = (interval: string) =>
    db.query(
      `update signing_key set signs_from = signs_from - $1::interval,
              published_until = published_until - $1::interval,
              created_at = created_at - $1::interval`,
      [interval],
    )

  it('begin with one, whoever of several replicas is first', async () => {
    const rings = await Promise.all(
      Array.from({ length: 4 }, () => KeyRing.open(pool, encryptionKey, timing)),
    )

    const signing = await Promise.all(rings.map((ring) => ring.signingKey()))
    assert.equal(new Set(kids(signing)).size, 1)
    assert.equal((await readKeys(pool)).length, 1)
  })

  it('are published before they sign, and after they signed', async () => {
    const ring = await KeyRing.open(pool, encryptionKey, timing)
    const { kid: first } = await ring.signingKey()

    assert.equal(await rotate(), true)
    await ring.refresh()
    const [second] = kids(ring.jwks().keys)
    assert.deepEqual(kids(ring.jwks().keys), [second, first])
    assert.equal((await ring.signingKey()).kid, first)

    await pass('61 minutes')
    await ring.refresh()
    assert.equal((await ring.signingKey()).kid, second)
    assert.deepEqual(kids(ring.jwks().keys), [second, first])

    await pass('60 minutes')
    await ring.tend(log)
    assert.deepEqual(kids(ring.jwks().keys), [second])
    assert.equal((await db.query('select 1 from signing_key')).rowCount, 1)
  })

  it('are the same set to a verifier until they change', async () => {
    const ring = await KeyRing.open(pool, encryptionKey, timing)
    const before = ring.jwks()
    await ring.refresh()
    assert.equal(ring.jwks(), before)
  })

  it('rotate once, however many ask at once or while one waits for its turn', async () => {
    await ensureKey(pool, encryptionKey)

    const rotated = await Promise.all(Array.from({ length: 5 }, () => rotate()))

    assert.deepEqual(rotated.filter(Boolean), [true])
    assert.equal(await rotate(), false)
    assert.equal((await readKeys(pool)).length, 2)
  })

  it('rotate by themselves when the newest is old enough, on one replica', async () => {
    const rings = await Promise.all([1, 2].map(() => KeyRing.open(pool, encryptionKey, timing)))
    await pass('29 days')
    await Promise.all(rings.map((ring) => ring.tend(log)))
    assert.equal((await readKeys(pool)).length, 1)

    await pass('1 day')
    let rotations = 0
    const count = () => {
      rotations += 1
    }
    await Promise.all(rings.map((ring) => ring.tend(log, count)))

    assert.equal(rotations, 1)
    assert.equal((await readKeys(pool)).length, 2)
    await Promise.all(rings.map((ring) => ring.refresh()))
    assert.deepEqual(rings[0]?.jwks(), rings[1]?.jwks())
  })

  it('are not made under a key that the replicas do not have', async () => {
    await ensureKey(pool, encryptionKey)

    const wrong = rotateKeys(pool, randomBytes(32), timing)

    await assert.rejects(wrong, { kind: 'invalid', code: 'wrong_encryption_key' })
    await assert.rejects(KeyRing.open(pool, randomBytes(32), timing))
    assert.equal((await readKeys(pool)).length, 1)
  })

  it('that were not read for the whole lead are read before one signs', async () => {
    const ring = await KeyRing.open(pool, encryptionKey, { ...timing, lead: 0 })
    const { kid: first } = await ring.signingKey()
    await rotate()
    await pass('61 minutes')

    assert.notEqual((await ring.signingKey()).kid, first)
  })

  it('cannot be told to sign before every verifier must know them', () => {
    const env = { KEY_ENCRYPTION_KEY: 'k' }
    assert.throws(() => readConfig(keyConfig, { ...env, KEY_LEAD_SECONDS: '419' }), ConfigError)
    const { lead, retain } = keyTiming(readConfig(keyConfig, env))
    assert.deepEqual([lead, retain], [600_000, 750_000])
  })
})

describe('a rotation under load, two replicas behind one address', () => {
  const audience = 'http://service.test'
  const short = { lead: 1_500, retain: 1_500, refresh: 100, rotateAfterDays: 30 }
  const jwksTiming = { ageMax: 400, cooldown: 60_000 }

  it('fails no request', async () => {
    await using db = await testDatabase(orchestratorMigrations)
    const pool = createPool(db.url, 10, log)
    const app = fastify({ forceCloseConnections: true })
    const replicas: Issuer[] = []
    let asked = 0
    app.get('/jwks', async () => replicas[asked++ % 2]?.jwks())
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    for (let i = 0; i < 2; i += 1) {
      const replica = await createIssuer(pool, url, encryptionKey, short)
      replica.start(log)
      replicas.push(replica)
    }
    const verifiers = Array.from({ length: 3 }, () =>
      createTokenVerifier({ issuer: url, audience, keys: new URL('/jwks', url), jwksTiming }),
    )

    const signedBy: string[] = []
    const failures: unknown[] = []
    const stop = new AbortController()
    const load = verifiers.map(async (verify, i) => {
      for (let n = 0; !stop.signal.aborted; n += 1) {
        const authorize = replicas[(n + i) % 2]?.authorizeFor(audience)
        const token = (await authorize?.({ scope: 'order:read' })) ?? ''
        await verify(token).catch((error: unknown) => failures.push(error))
        signedBy.push(jose.decodeProtectedHeader(token).kid ?? '')
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
    try {
      await waitFor(() => signedBy.length > 50, { what: 'some load' })
      const [first] = signedBy
      assert.equal(await rotateKeys(pool, encryptionKey, short), true)
      await waitFor(() => signedBy.at(-1) !== first, { what: 'the new key to sign' })
      const published = async () =>
        (await (await fetch(`${url}/jwks`)).json()) as jose.JSONWebKeySet
      await waitFor(async () => (await published()).keys.length === 1, { what: 'the old to go' })
      const seen = signedBy.length
      await waitFor(() => signedBy.length > seen + 50, { what: 'more load' })

      assert.deepEqual([failures.length, failures[0]], [0, undefined])
      assert.equal(new Set(signedBy).size, 2)
      assert.equal((await published()).keys[0]?.kid, signedBy.at(-1))
      assert.equal(signedBy.lastIndexOf(first ?? '') < seen, true)
    } finally {
      stop.abort()
      await Promise.all(load)
      for (const replica of replicas) replica.stop()
      await app.close()
      await pool.end()
    }
  })
})
