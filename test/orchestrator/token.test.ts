import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import * as jose from 'jose'
import { forgetAssertions } from '../../orchestrator/client-login.ts'
import { addClient, listClients, removeClient } from '../../orchestrator/client-registry.ts'
import { FailedLogins } from '../../orchestrator/failed-logins.ts'
import { createIssuer, type Issuer } from '../../orchestrator/issuer.ts'
import { isOutsideScope } from '../../orchestrator/outside-scopes.ts'
import { tokenRoutes } from '../../orchestrator/routes/token.ts'
import { tokenConfig } from '../../orchestrator/token-config.ts'
import { createTokenVerifier } from '../../platform/access-tokens.ts'
import {
  type ClientKey,
  generateClientKey,
  readClientJwks,
  signClientAssertion,
} from '../../platform/client-assertions.ts'
import { ClientCredentials } from '../../platform/client-credentials.ts'
import { ConfigError, readConfig } from '../../platform/config.ts'
import { createPool, type Pool } from '../../platform/db.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { type Admit, createRateLimit } from '../../platform/rate-limit.ts'
import { createHttpProcess } from '../../platform/service.ts'
import * as fulfillment from '../../services/fulfillment/contract.ts'
import * as inventory from '../../services/inventory/contract.ts'
import * as order from '../../services/order/contract.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { orchestratorMigrations } from './support/orders.ts'

const issuerUrl = 'http://issuer.test'
const resources = {
  orchestrator: 'http://baton.test',
  order: 'http://order.test',
  inventory: 'http://inventory.test',
  fulfillment: 'http://fulfillment.test',
}
const timing = { lead: 3_600_000, retain: 3_600_000, refresh: 60_000, rotateAfterDays: 30 }
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const writeScopes = [
  ...['order:write', 'order:validate', 'inventory:check', 'inventory:reserve'],
  ...['fulfillment:propose', 'fulfillment:label', 'fulfillment:void'],
]

describe('POST /oauth/token', () => {
  let db: TestDatabase
  let pool: Pool
  let issuer: Issuer
  let app: FastifyInstance
  let url: string
  let secret: string
  let key: ClientKey
  let admits: Admit = () => {}
  /** A new one each time, or the failures of all tests would count together. */
  let addresses = 0

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
    const log = createLog('test', 'silent')
    pool = createPool(db.url, 5, log)
    issuer = await createIssuer(pool, issuerUrl, randomBytes(32), timing)
    app = createHttpProcess({
      log,
      metrics: createMetrics('orchestrator'),
      checkReady: async () => {},
    }).app
    const admit = (clientId: string) => admits(clientId)
    tokenRoutes(app, { pool, log, issuer, issuerUrl, resources, admit })
    app.post('/other', async ({ body }) => ({ body }))
    url = await app.listen({ host: '127.0.0.1', port: 0 })
  })
  after(async () => {
    await app.close()
    await pool.end()
    await db[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    await db.query('truncate oauth_client cascade')
    const generated = await generateClientKey()
    key = generated.key
    secret =
      (await addClient(pool, 'shop', ['orders:submit', 'orders:read', 'inventory:read'])) ?? ''
    await addClient(pool, 'robot', ['orders:read'], generated.jwks)
  })

  const basic = (id: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}`,
  })
  const ask = async (
    form: Record<string, string> | string,
    headers: Record<string, string> = {},
    remoteAddress = `10.0.0.${++addresses % 250}`,
  ) => {
    const response = await app.inject({
      method: 'POST',
      url: '/oauth/token',
      remoteAddress,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
    })
    return { status: response.statusCode, headers: response.headers, body: response.json() }
  }
  const grant = { grant_type: 'client_credentials' }
  const askAsShop = (more: Record<string, string> = {}) =>
    ask({ ...grant, ...more }, basic('shop', secret))
  const asserted = (assertion: string, more: Record<string, string> = {}) =>
    ask({
      ...{ ...grant, ...more },
      client_assertion_type: assertionType,
      client_assertion: assertion,
    })
  const verify = (audience: string, token: string) =>
    createTokenVerifier({ issuer: issuerUrl, audience, keys: async () => issuer.jwks() })(token)

  it('gives a token of two minutes with all that the client may do here', async () => {
    const { status, headers, body } = await askAsShop()

    assert.equal(status, 200)
    assert.equal(headers['cache-control'], 'no-store')
    assert.deepEqual(
      [body.token_type, body.expires_in, body.scope],
      ['Bearer', 120, 'orders:submit orders:read'],
    )
    const token = await verify(resources.orchestrator, body.access_token)
    assert.equal(token.clientId, 'shop')
    assert.deepEqual(token.scopes, ['orders:submit', 'orders:read'])
  })

  it('takes the secret in the form, too', async () => {
    const { status } = await ask({ ...grant, client_id: 'shop', client_secret: secret })
    assert.equal(status, 200)
  })

  it('gives less when less is asked for, and another resource’s scopes at that resource', async () => {
    assert.equal((await askAsShop({ scope: 'orders:read' })).body.scope, 'orders:read')

    const { body } = await askAsShop({ resource: `${resources.inventory}/` })
    assert.equal(body.scope, 'inventory:read')
    assert.equal((await verify(resources.inventory, body.access_token)).clientId, 'shop')
    await assert.rejects(verify(resources.orchestrator, body.access_token), {
      code: 'invalid_token',
    })
  })

  const refusals: readonly (readonly [string, Record<string, string>, string])[] = [
    ['a scope that the client does not have', { scope: 'orders:cancel' }, 'invalid_scope'],
    ['one scope too many', { scope: 'orders:read orders:cancel' }, 'invalid_scope'],
    ['no scope at all', { scope: ' ' }, 'invalid_scope'],
    ['a scope at the wrong resource', { scope: 'inventory:read' }, 'invalid_scope'],
    ['a resource without scopes for it', { resource: resources.order }, 'invalid_scope'],
    ['an unknown resource', { resource: 'http://elsewhere.test' }, 'invalid_target'],
    ['another grant', { grant_type: 'password' }, 'unsupported_grant_type'],
    ...writeScopes.map((scope) => {
      const [resource = ''] = scope.split(':')
      const at = { scope, resource: resources[resource as keyof typeof resources] }
      return [scope, at, 'invalid_scope'] as const
    }),
  ]
  for (const [what, form, error] of refusals) {
    it(`refuses ${what}`, async () => {
      const { status, headers, body } = await askAsShop(form)

      assert.deepEqual([status, body.error], [400, error])
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(typeof body.error_description, 'string')
    })
  }

  it('refuses a form that says something twice, is too long, or is no form', async () => {
    const login = basic('shop', secret)
    const twice = await ask('grant_type=client_credentials&scope=a&scope=b', login)
    const long = await ask({ ...grant, scope: 'x'.repeat(20_000) }, login)
    const json = await ask('{}', { ...login, 'content-type': 'application/json' })
    const both = await ask({ ...grant, client_id: 'shop', client_secret: secret }, login)
    const other = await ask({ ...grant, client_id: 'robot' }, login)

    const codes = [twice, long, json, both, other].map(({ status, body }) => [status, body.error])
    assert.deepEqual(codes, [
      [400, 'invalid_request'],
      [413, 'invalid_request'],
      [400, 'invalid_request'],
      [400, 'invalid_request'],
      [400, 'invalid_request'],
    ])
  })

  it('leaves every other route without forms', async () => {
    const response = await app.inject({
      method: 'POST',
      url: '/other',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'a=b',
    })
    assert.deepEqual([response.statusCode, response.json().code], [415, 'unsupported_media_type'])
  })

  it('answers an unknown client and a wrong secret alike', async () => {
    const answers = [
      await ask(grant, basic('nobody', secret)),
      await ask(grant, basic('shop', 'wrong')),
      await ask(grant, basic('robot', secret)),
      await ask({ ...grant, client_id: 'shop', client_secret: `${secret}x` }),
      await ask(grant, basic('Robert"; drop', secret)),
    ]

    for (const { status, headers, body } of answers) {
      assert.deepEqual([status, body], [401, answers[0]?.body])
      assert.equal(body.error, 'invalid_client')
      assert.match(String(headers['www-authenticate']), /^Basic realm=/)
    }
    assert.equal((await ask(grant)).status, 401)
    assert.equal((await ask(grant, { authorization: 'Bearer abc' })).status, 401)
  })

  it('makes who fails too often wait, and nobody else', async () => {
    const stranger = '10.9.9.9'
    for (let i = 0; i < 10; i += 1) {
      assert.equal((await ask(grant, basic('shop', `wrong-${i}`), stranger)).status, 401)
    }

    const { status, headers } = await ask(grant, basic('shop', secret), stranger)

    assert.equal(status, 429)
    assert.ok(Number(headers['retry-after']) > 0)
    assert.equal((await askAsShop()).status, 200)
  })

  it('gives one client tokens at its rate only, and takes nothing from another', async () => {
    admits = createRateLimit(1, 2)
    try {
      const stranger = await ask(grant, basic('shop', 'wrong'))
      const [first, second, third] = [await askAsShop(), await askAsShop(), await askAsShop()]

      assert.deepEqual([stranger.status, first?.status, second?.status], [401, 200, 200])
      assert.deepEqual([third?.status, third?.body.error], [429, 'temporarily_unavailable'])
      assert.ok(Number(third?.headers['retry-after']) > 0)
      const robot = await asserted(await signClientAssertion('robot', issuerUrl, key))
      assert.equal(robot.status, 200)
    } finally {
      admits = () => {}
    }
  })

  it('remembers a bounded number of failures, for a minute', () => {
    let nowMs = 0
    const failed = new FailedLogins(() => nowMs)
    for (let i = 0; i < 10; i += 1) failed.add('a', '10.0.0.1')
    assert.equal(failed.waitSeconds('a', '10.0.0.1'), 60)
    assert.equal(failed.waitSeconds('a', '10.0.0.2'), 0)

    for (let i = 0; i < 10_000; i += 1) failed.add(`b${i}`, '10.0.0.1')
    assert.equal(failed.waitSeconds('a', '10.0.0.1'), 0)

    for (let i = 0; i < 10; i += 1) failed.add('c', '10.0.0.1')
    nowMs = 60_000
    assert.equal(failed.waitSeconds('c', '10.0.0.1'), 0)
  })

  it('takes a signed assertion instead of a secret, for the issuer or its endpoint', async () => {
    for (const audience of [
      issuerUrl,
      `${issuerUrl}/oauth/token`,
      'http://baton.test/oauth/token',
    ]) {
      const { status, body } = await asserted(await signClientAssertion('robot', audience, key))
      assert.deepEqual([status, body.scope], [200, 'orders:read'], audience)
    }
  })

  it('takes an assertion once, on whichever replica', async () => {
    const assertion = await signClientAssertion('robot', issuerUrl, key)

    const answers = await Promise.all(Array.from({ length: 5 }, () => asserted(assertion)))

    assert.deepEqual(answers.map((a) => a.status).sort(), [200, 401, 401, 401, 401])
    await db.query(`update client_assertion set expires_at = now() - interval '1 second'`)
    await forgetAssertions(pool)
    assert.equal((await db.query('select 1 from client_assertion')).rowCount, 0)
  })

  it('takes assertions of either key while a client changes keys, with or without a kid', async () => {
    const next = await generateClientKey()
    const { jwks } = (await listClients(pool)).find(({ clientId }) => clientId === 'robot') ?? {}
    await removeClient(pool, 'robot')
    const both = [...(jwks?.keys ?? []), ...next.jwks.keys].map(({ kid: _kid, ...jwk }) => jwk)
    await addClient(pool, 'robot', ['orders:read'], readClientJwks({ keys: both }))

    for (const { privateKey } of [key, next.key]) {
      const now = Math.floor(Date.now() / 1_000)
      const claims = { iss: 'robot', sub: 'robot', aud: issuerUrl, jti: `jti-${Math.random()}` }
      const assertion = await new jose.SignJWT({ ...claims, iat: now, exp: now + 60 })
        .setProtectedHeader({ alg: 'ES256' })
        .sign(privateKey)
      assert.equal((await asserted(assertion)).status, 200)
    }
  })

  const now = () => Math.floor(Date.now() / 1_000)
  const wrong: readonly (readonly [string, () => object, jose.JWTHeaderParameters?])[] = [
    ['for another issuer', () => ({ aud: 'http://elsewhere.test' })],
    ['for two audiences', () => ({ aud: [issuerUrl, 'http://elsewhere.test'] })],
    ['about another client', () => ({ sub: 'shop' })],
    ['from another client', () => ({ iss: 'shop' })],
    ['that expired', () => ({ exp: now() - 60 })],
    ['that lives too long', () => ({ exp: now() + 3_600 })],
    ['without an end', () => ({ exp: undefined })],
    ['without an id', () => ({ jti: undefined })],
    ['with an id that is none', () => ({ jti: 'a\u0000b-1234567' })],
    ['that is not valid yet', () => ({ nbf: now() + 60 })],
    ['of another key id', () => ({}), { alg: 'ES256', kid: 'other' }],
  ]
  for (const [what, change, header] of wrong) {
    it(`refuses an assertion ${what}`, async () => {
      const right = {
        iss: 'robot',
        sub: 'robot',
        aud: issuerUrl,
        jti: 'jti-12345678',
        exp: now() + 60,
      }
      const assertion = await new jose.SignJWT({ ...right, ...change() })
        .setProtectedHeader(header ?? { alg: 'ES256', kid: key.kid })
        .sign(key.privateKey)

      const { status, body } = await asserted(assertion)

      assert.deepEqual([status, body.error], [401, 'invalid_client'])
      assert.equal((await db.query('select 1 from client_assertion')).rowCount, 0)
    })
  }

  it('refuses an assertion signed by a secret, by another key, or not at all', async () => {
    const claims = {
      iss: 'robot',
      sub: 'robot',
      aud: issuerUrl,
      jti: 'jti-12345678',
      exp: now() + 60,
    }
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const stranger = await generateClientKey()
    const forged = [
      await new jose.SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: key.kid })
        .sign(new TextEncoder().encode(key.kid.repeat(2))),
      await new jose.SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: key.kid })
        .sign(stranger.key.privateKey),
      `${encode({ alg: 'none' })}.${encode(claims)}.`,
      'no.jwt',
    ]
    for (const assertion of forged) assert.equal((await asserted(assertion)).status, 401)
  })

  it('serves our own client of foreign servers, by secret and by key, one request for all', async () => {
    const common = { tokenEndpoint: new URL('/oauth/token', url), resource: resources.orchestrator }
    const bySecret = { kind: 'secret', secret } as const
    const byKey = { kind: 'key', key, audience: issuerUrl } as const
    const asShop = new ClientCredentials({ ...common, clientId: 'shop', credential: bySecret })
    const asRobot = new ClientCredentials({ ...common, clientId: 'robot', credential: byKey })

    const tokens = await Promise.all(Array.from({ length: 8 }, () => asRobot.token()))

    assert.equal(new Set(tokens).size, 1)
    assert.equal((await verify(resources.orchestrator, tokens[0] ?? '')).clientId, 'robot')
    assert.equal((await verify(resources.orchestrator, await asShop.token())).clientId, 'shop')
    await removeClient(pool, 'shop')
    const refused = new ClientCredentials({ ...common, clientId: 'shop', credential: bySecret })
    await assert.rejects(refused.token(), { kind: 'denied', code: 'client_refused' })
  })

  it('is described by metadata at the well-known place', async () => {
    const at = (path: string) => app.inject({ url: path })
    const metadata = (await at('/.well-known/oauth-authorization-server')).json()

    assert.partialDeepStrictEqual(metadata, {
      issuer: issuerUrl,
      token_endpoint: `${issuerUrl}/oauth/token`,
      jwks_uri: `${issuerUrl}/.well-known/jwks.json`,
      grant_types_supported: ['client_credentials'],
      response_types_supported: [],
    })
    assert.equal(
      metadata.scopes_supported.some((scope: string) => writeScopes.includes(scope)),
      false,
    )
    const jwks = await at('/.well-known/jwks.json')
    assert.equal(jwks.headers['cache-control'], 'public, max-age=60')
    assert.deepEqual(Object.keys(jwks.json().keys[0]).sort(), [
      'alg',
      'crv',
      'kid',
      'kty',
      'use',
      'x',
      'y',
    ])
  })

  it('answers 503 while the database is away', async () => {
    const gone = createPool('postgres://127.0.0.1:9/none', 1, createLog('test', 'silent'))
    const other = createHttpProcess({
      log: createLog('test', 'silent'),
      metrics: createMetrics('orchestrator'),
      checkReady: async () => {},
    }).app
    const log = createLog('test', 'silent')
    tokenRoutes(other, { pool: gone, log, issuer, issuerUrl, resources, admit: () => {} })

    const response = await other.inject({
      method: 'POST',
      url: '/oauth/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic('shop', secret) },
      payload: 'grant_type=client_credentials',
    })

    assert.deepEqual([response.statusCode, response.json().error], [503, 'temporarily_unavailable'])
    await other.close()
    await gone.end()
  })
})

describe('clients', () => {
  it('can have no scope that writes, whoever registers them, signs for them or trusts them', async () => {
    await using db = await testDatabase(orchestratorMigrations)
    const issuer = await createIssuer(db, issuerUrl, randomBytes(32), timing)
    for (const scope of writeScopes) {
      await assert.rejects(addClient(db, 'c', ['orders:read', scope]), { code: 'invalid_scope' })
      await assert.rejects(
        db.query(`insert into oauth_client (client_id, scopes, jwks) values ('c', $1, '{}')`, [
          [scope],
        ]),
        { code: '23514' },
      )
      const grant = { clientId: 'c', audience: 'http://order.test', scopes: [scope] }
      await assert.rejects(issuer.signForClient(grant), /cannot have/)
      const trusting = JSON.stringify([
        { issuer: 'https://idp.test', jwksUri: 'https://idp.test/keys', scopes: [scope] },
      ])
      assert.throws(
        () => readConfig(tokenConfig, { KEY_ENCRYPTION_KEY: 'k', TRUSTED_ISSUERS: trusting }),
        ConfigError,
      )
    }
    assert.equal((await listClients(db)).length, 0)
  })

  it('and write scopes are together all that the services ask for', () => {
    const contracts = [order, inventory, fulfillment].flatMap((module) => Object.values(module))
    const scopes = contracts.flatMap((one) =>
      typeof one === 'object' && 'scope' in one ? [one.scope] : [],
    )
    assert.ok(scopes.length > 10)
    for (const scope of scopes) {
      assert.notEqual(isOutsideScope(scope), writeScopes.includes(scope), scope)
    }
  })

  it('have an id that is free and plain, and at least one scope', async () => {
    await using db = await testDatabase(orchestratorMigrations)
    for (const id of ['orchestrator', 'local', '', 'A', 'idp.test:c', 'a/b', 'x'.repeat(65)]) {
      await assert.rejects(addClient(db, id, ['orders:read']), { code: 'invalid_client_id' }, id)
    }
    await assert.rejects(addClient(db, 'c', []), { code: 'invalid_scope' })
    await addClient(db, 'c', ['orders:read'])
    await assert.rejects(addClient(db, 'c', ['orders:read']), { code: 'client_exists' })
    await assert.rejects(removeClient(db, 'd'), { code: 'no_such_client' })
  })

  it('leave no secret in the database, and no private key', async () => {
    await using db = await testDatabase(orchestratorMigrations)
    const secret = (await addClient(db, 'c', ['orders:read'])) ?? ''
    const { rows } = await db.query('select oauth_client::text as row from oauth_client')

    assert.ok(secret.length > 40)
    assert.equal(rows[0]?.row.includes(secret), false)
    const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
    const jwk = await jose.exportJWK(privateKey)
    assert.throws(() => readClientJwks({ keys: [jwk] }), { code: 'invalid_jwks' })
    const { x: _x, ...rest } = jwk
    for (const keys of [
      [],
      [rest],
      [{ kty: 'oct', k: 'abc' }],
      Array(11).fill({ ...jwk, d: undefined }),
    ]) {
      assert.throws(() => readClientJwks({ keys }), { code: 'invalid_jwks' })
    }
  })
})
