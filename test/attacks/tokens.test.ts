/** Forged, stolen and spoilt tokens at both doors of a service. Each is refused, and moves nothing. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import * as jose from 'jose'
import { base64, type Forger } from './forger.ts'
import { type InventoryTarget, startInventoryTarget } from './inventory-target.ts'

const orderId = randomUUID()
const input = { orderId, round: 1, lines: [{ sku: 'ABC123', quantity: 5 }] }
const seconds = () => Math.floor(Date.now() / 1_000)

const errorOf = async (response: Response) => {
  const body = (await response.json()) as {
    code?: string
    error?: string
    result?: { _meta?: { error?: { code: string } } }
  }
  return body.code ?? body.error ?? body.result?._meta?.error?.code
}

describe('a token that is not exactly right', () => {
  let target: InventoryTarget
  let forger: Forger
  let stranger: jose.GenerateKeyPairResult

  before(async () => {
    target = await startInventoryTarget()
    forger = target.forger
    stranger = await jose.generateKeyPair('ES256', { extractable: true })
  })
  after(() => target[Symbol.asyncDispose]())

  const right = () => ({
    ...forger.claims(target.url, 'inventory:reserve'),
    order_id: orderId as unknown,
  })
  const claim = (change: object) => () => forger.sign({ ...right(), ...change })
  const unsigned = (header: object, claims: object = right()) =>
    `${base64(JSON.stringify(header))}.${base64(JSON.stringify(claims))}.`
  const strange = async (header: object) =>
    forger.sign(right(), header as jose.JWTHeaderParameters, stranger.privateKey)
  const resigned = async (change: object) => {
    const [header, , signature] = (await forger.sign(right())).split('.')
    return `${header}.${base64(JSON.stringify({ ...right(), ...change }))}.${signature}`
  }
  const text = (payload: (claims: object) => string, header?: string) => () => {
    const given = header ?? JSON.stringify({ alg: 'ES256', typ: 'at+jwt', kid: 'forger-1' })
    return forger.signText(given, payload(right()))
  }

  const refused: readonly (readonly [string, () => string | Promise<string>])[] = [
    ['alg none', () => unsigned({ alg: 'none', typ: 'at+jwt', kid: 'forger-1' })],
    ['alg NONE in capitals', () => unsigned({ alg: 'NONE', typ: 'at+jwt', kid: 'forger-1' })],
    ['alg none without a kid', () => unsigned({ alg: 'none', typ: 'at+jwt' })],
    ['no alg at all', () => unsigned({ typ: 'at+jwt', kid: 'forger-1' })],
    ['HS256 with the public key as secret', () => forger.signWithPublicKey(right())],
    ['an ID token’s type', () => forger.sign(right(), { typ: 'JWT' })],
    ['no type', () => forger.sign(right(), { typ: undefined as unknown as string })],
    ['the type of a logout token', () => forger.sign(right(), { typ: 'logout+jwt' })],
    ['another issuer', claim({ iss: 'https://elsewhere.example' })],
    ['the issuer with a slash more', () => forger.sign({ ...right(), iss: `${forger.url}/` })],
    ['another audience', claim({ aud: 'http://127.0.0.1:1' })],
    ['our audience among others', () => claim({ aud: [target.url, 'http://x.example'] })()],
    ['our audience as a prefix', () => claim({ aud: `${target.url}0` })()],
    ['expired', () => claim({ iat: seconds() - 119, exp: seconds() - 31 })()],
    ['not valid yet', () => claim({ nbf: seconds() + 60 })()],
    ['issued in the future', () => claim({ iat: seconds() + 60, exp: seconds() + 120 })()],
    ['an end ten years from now', () => claim({ exp: seconds() + 315_360_000 })()],
    ['an end beyond every clock', claim({ exp: Number.MAX_SAFE_INTEGER })],
    ['an end before its beginning', () => claim({ exp: seconds() - 20, iat: seconds() - 10 })()],
    ['an expiry as text', claim({ exp: '9999999999' })],
    ['no expiry', claim({ exp: undefined })],
    ['no issuer', claim({ iss: undefined })],
    ['no audience', claim({ aud: undefined })],
    ['no subject', claim({ sub: undefined })],
    ['no client', claim({ client_id: undefined })],
    ['no scope', claim({ scope: undefined })],
    ['no id', claim({ jti: undefined })],
    ['no issue time', claim({ iat: undefined })],
    ['a list as scope', claim({ scope: ['inventory:reserve'] })],
    ['an object as client', claim({ client_id: { toString: 'orchestrator' } })],
    ['a list as order', claim({ order_id: [orderId] })],
    ['an id of a thousand characters', claim({ jti: 'j'.repeat(1_000) })],
    ['a claim twice', text((claims) => `{"scope":"x",${JSON.stringify(claims).slice(1)}`)],
    ['the audience twice', text((c) => `{"aud":"http://x.example",${JSON.stringify(c).slice(1)}`)],
    ['a payload that is no JSON', text(() => '{"iss":')],
    ['a payload that is a list', text(() => '[]')],
    ['a payload that is null', text(() => 'null')],
    [
      'a header twice',
      text((c) => JSON.stringify(c), '{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":"forger-1"}'),
    ],
    [
      'its own key inside (jwk)',
      async () => strange({ jwk: await jose.exportJWK(stranger.publicKey) }),
    ],
    ['a key to fetch (jku)', () => strange({ jku: 'http://127.0.0.1:1/jwks.json' })],
    ['a certificate to fetch (x5u)', () => strange({ x5u: 'http://127.0.0.1:1/cert.pem' })],
    ['a certificate inside (x5c)', () => strange({ x5c: ['MIIB'] })],
    ['a kid that is a path', () => strange({ kid: '../../../../dev/null' })],
    ['a kid that is SQL', () => strange({ kid: `' union select 'k' --` })],
    ['a kid that is a number', () => strange({ kid: 1 })],
    ['a kid of another key', () => strange({ kid: 'forger-2' })],
    [
      'a critical extension that nobody knows',
      text(
        (c) => JSON.stringify(c),
        '{"alg":"ES256","typ":"at+jwt","kid":"forger-1","crit":["x"],"x":1}',
      ),
    ],
    ['another order than was signed', () => resigned({ order_id: randomUUID() })],
    ['more scope than was signed', () => resigned({ scope: 'inventory:reserve inventory:admin' })],
    ['its signature cut off', async () => (await forger.sign(right())).slice(0, -4)],
    [
      'no signature',
      async () => `${(await forger.sign(right())).split('.').slice(0, 2).join('.')}.`,
    ],
    [
      'a signature of zeros',
      async () => {
        const [header, payload] = (await forger.sign(right())).split('.')
        return `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`
      },
    ],
    ['five parts (JWE)', async () => `${await forger.sign(right())}.AAAA.AAAA`],
    ['twelve thousand characters', () => 'a'.repeat(12_000)],
  ]

  it('would pass if it were', async () => {
    const before = await target.db.query('select count(*) as n from reservation')
    const other = randomUUID()
    const token = await forger.sign({ ...right(), order_id: other })

    const response = await target.viaFacade('reserve_stock', { ...input, orderId: other }, token)

    assert.equal(response.status, 200)
    const count = await target.db.query('select count(*) as n from reservation')
    assert.equal(Number(count.rows[0].n), Number(before.rows[0].n) + 1)
  })

  for (const [what, make] of refused) {
    it(`is refused: ${what}`, async () => {
      const before = await target.state()
      const token = await make()

      const mcp = await target.viaMcp('reserve_stock', input, token)
      const facade = await target.viaFacade('reserve_stock', input, token)

      assert.equal(mcp.status, 401)
      assert.match(mcp.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/)
      assert.deepEqual([facade.status, await errorOf(facade)], [401, 'invalid_token'])
      assert.match(facade.headers.get('www-authenticate') ?? '', /resource_metadata="/)
      assert.deepEqual(await target.state(), before)
    })
  }

  it('is refused with no internals in the answer', async () => {
    const token = await strange({ kid: '../../../../dev/null' })

    const answers = [
      await (await target.viaMcp('reserve_stock', input, token)).text(),
      await (await target.viaFacade('reserve_stock', input, token)).text(),
    ]

    for (const answer of answers) {
      assert.doesNotMatch(answer, /node_modules|at .*\.ts|jose|postgres|dev\/null/i)
    }
  })
})

describe('a right token in the wrong place', () => {
  let target: InventoryTarget
  before(async () => {
    target = await startInventoryTarget()
  })
  after(() => target[Symbol.asyncDispose]())

  const tokenFor = (scope: string, order?: string) =>
    target.forger.sign({
      ...target.forger.claims(target.url, scope),
      ...(order === undefined ? {} : { order_id: order }),
    })
  const cases: readonly (readonly [string, () => Promise<string>, string, object, string])[] = [
    [
      'a read scope for a write',
      () => tokenFor('inventory:read', orderId),
      'reserve_stock',
      input,
      'insufficient_scope',
    ],
    [
      'a reserve scope for the admin’s tool',
      () => tokenFor('inventory:reserve'),
      'set_stock',
      { requestId: randomUUID(), sku: 'ABC123', available: 1, reason: 'x' },
      'insufficient_scope',
    ],
    [
      'a scope that only begins the same',
      () => tokenFor('inventory:reserve:all', orderId),
      'reserve_stock',
      input,
      'insufficient_scope',
    ],
    [
      'a scope in capitals',
      () => tokenFor('INVENTORY:RESERVE', orderId),
      'reserve_stock',
      input,
      'insufficient_scope',
    ],
    [
      'scopes parted by commas',
      () => tokenFor('inventory:read,inventory:reserve', orderId),
      'reserve_stock',
      input,
      'insufficient_scope',
    ],
    [
      'a star for scope',
      () => tokenFor('*', orderId),
      'reserve_stock',
      input,
      'insufficient_scope',
    ],
    [
      'another order’s token',
      () => tokenFor('inventory:reserve', randomUUID()),
      'reserve_stock',
      input,
      'order_not_bound',
    ],
    [
      'no order in the token of a write',
      () => tokenFor('inventory:reserve'),
      'reserve_stock',
      input,
      'order_not_bound',
    ],
    [
      'an order in the token of an unbound tool',
      () => tokenFor('inventory:read', orderId),
      'get_stock',
      { skus: ['ABC123'] },
      'order_not_bound',
    ],
    [
      'the order in other letters',
      () => tokenFor('inventory:reserve', orderId.toUpperCase()),
      'reserve_stock',
      input,
      'order_not_bound',
    ],
  ]
  for (const [what, make, tool, args, code] of cases) {
    it(`is refused: ${what}`, async () => {
      const before = await target.state()

      const mcp = await target.viaMcp(tool, args, await make())
      const facade = await target.viaFacade(tool, args, await make())

      assert.deepEqual([await errorOf(mcp), await errorOf(facade)], [code, code])
      assert.equal(facade.status, 403)
      assert.deepEqual(await target.state(), before)
    })
  }

  it('is not looked for in the query, in a cookie or in the body', async () => {
    const token = await tokenFor('inventory:reserve', orderId)
    const before = await target.state()
    const json = { 'content-type': 'application/json' }
    const post = (path: string, headers: object, body: object) =>
      fetch(`${target.url}${path}`, {
        ...{ method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) },
      })

    const answers = await Promise.all([
      post(`/invoke/reserve_stock?access_token=${token}`, {}, input),
      post(`/mcp?access_token=${token}`, {}, {}),
      post('/invoke/reserve_stock', { cookie: `access_token=${token}` }, input),
      post('/invoke/reserve_stock', {}, { ...input, access_token: token }),
      post('/invoke/reserve_stock', { authorization: `Basic ${token}` }, input),
      post('/invoke/reserve_stock', { authorization: `Bearer ${token} ${token}` }, input),
    ])

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([401]))
    assert.deepEqual(await target.state(), before)
  })

  it('works once for a write: whoever overheard it is refused', async () => {
    const order = randomUUID()
    const token = await tokenFor('inventory:reserve', order)
    await target.viaMcp('reserve_stock', { ...input, orderId: order }, token)
    const before = await target.state()

    const again = await target.viaMcp('release_stock', { orderId: order, round: 1 }, token)
    const facade = await target.viaFacade('commit_stock', { orderId: order, round: 1 }, token)

    assert.equal(await errorOf(again), 'token_replayed')
    assert.deepEqual([facade.status, await errorOf(facade)], [403, 'token_replayed'])
    assert.deepEqual(await target.state(), before)
  })
})
