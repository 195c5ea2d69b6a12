import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { createTokenVerifier, type VerifyToken } from '../../platform/access-tokens.ts'
import { ConfigError, readConfig } from '../../platform/config.ts'
import { defineTool, implement, readsOnly } from '../../platform/tool.ts'
import { assertNoBoundScopes, trustedIssuers } from '../../platform/trusted-issuers.ts'
import {
  type ForeignIssuer,
  foreignIssuer,
  type TestIssuer,
  testIssuer,
} from '../support/test-issuer.ts'

const audience = 'http://localhost:8080'
const refused = { kind: 'denied', code: 'invalid_token' }
const read = (value: string) =>
  readConfig(z.object({ TRUSTED_ISSUERS: trustedIssuers.default([]) }), { TRUSTED_ISSUERS: value })
    .TRUSTED_ISSUERS

describe('tokens of a trusted issuer', () => {
  let own: TestIssuer
  let idp: ForeignIssuer
  let stranger: ForeignIssuer
  let verify: VerifyToken

  before(async () => {
    own = await testIssuer()
    idp = await foreignIssuer('/realms/shop', 'RS256')
    stranger = await foreignIssuer('/realms/shop', 'RS256')
    verify = createTokenVerifier({
      issuer: own.url,
      audience,
      keys: new URL('/.well-known/jwks.json', own.url),
      trusted: read(
        JSON.stringify([{ issuer: idp.url, jwksUri: idp.jwksUri, scopes: ['orders:read'] }]),
      ),
    })
  })
  after(() => Promise.all([own, idp, stranger].map((one) => one[Symbol.asyncDispose]())))

  const now = () => Math.floor(Date.now() / 1_000)
  const right = () => ({
    iss: idp.url,
    aud: audience as string | string[],
    sub: 'user-1',
    azp: 'shop',
    scope: 'openid orders:read orders:submit order:write',
    iat: now(),
    exp: now() + 3_600,
  })

  it('count for the scopes that are listed, under a name that no client of ours has', async () => {
    const token = await verify(await idp.sign(right()))

    assert.deepEqual(token.scopes, ['orders:read'])
    assert.equal(token.clientId, `${new URL(idp.url).host}/realms/shop:shop`)
    assert.equal(token.issuer, idp.url)
  })

  it('cannot pass for the orchestrator, and are bound to no order', async () => {
    const claims = { ...right(), client_id: 'orchestrator', order_id: 'order-1' }

    const token = await verify(await idp.sign(claims))

    assert.match(token.clientId, /\/realms\/shop:orchestrator$/)
    assert.equal('orderId' in token, false)
  })

  it('of a client whose id looks like another provider’s is named like none of that', async () => {
    const token = await verify(await idp.sign({ ...right(), azp: '8443/realms/shop:robot%' }))

    const name = token.clientId.slice(token.clientId.lastIndexOf(':') + 1)
    assert.equal(name, '8443/realms/shop%3Arobot%25')
  })

  it('come in the forms that identity providers give them', async () => {
    const forms: readonly (readonly [object, string])[] = [
      [{ scope: undefined, scp: 'orders:read' }, 'JWT'],
      [{ scope: undefined, scp: ['orders:read'] }, 'at+jwt'],
      [{ aud: ['account', audience] }, 'application/at+jwt'],
    ]
    for (const [change, typ] of forms) {
      const token = await verify(await idp.sign({ ...right(), ...change }, typ))
      assert.deepEqual(token.scopes, ['orders:read'])
    }
    const without = await verify(await idp.sign({ ...right(), scope: undefined, azp: undefined }))
    assert.deepEqual(without.scopes, [])
    assert.match(without.clientId, /:user-1$/)
  })

  it('stand beside our own, whose rules stay as they are', async () => {
    const grant = { audience, clientId: 'c', scope: 'orders:submit' }
    assert.equal((await verify(await own.sign(grant))).clientId, 'c')
    assert.ok((await verify(await own.sign(grant))).jti)
  })

  const changes: readonly (readonly [string, () => object, string?])[] = [
    ['for somebody else', () => ({ aud: 'http://localhost:3000' })],
    ['of the same provider’s other realm', () => ({ iss: `${idp.url}-2` })],
    ['that say they are ours', () => ({ iss: own.url })],
    ['that expired', () => ({ iat: now() - 120, exp: now() - 60 })],
    ['that live longer than an hour', () => ({ exp: now() + 3_601 })],
    ['of the future', () => ({ iat: now() + 60, exp: now() + 120 })],
    ['without an end', () => ({ exp: undefined })],
    ['without a beginning', () => ({ iat: undefined })],
    ['without a subject', () => ({ sub: undefined })],
    ['with a number as scope', () => ({ scope: 7 })],
    ['with a client of two lines', () => ({ azp: 'a\nb' })],
    ['that are ID tokens by type', () => ({}), 'id+jwt'],
    ['that are logout tokens', () => ({}), 'logout+jwt'],
  ]
  for (const [what, change, typ] of changes) {
    it(`are refused: ${what}`, async () => {
      await assert.rejects(verify(await idp.sign({ ...right(), ...change() }, typ)), refused)
    })
  }

  it('are refused: signed by somebody else under its name', async () => {
    await assert.rejects(verify(await stranger.sign(right())), refused)
    await assert.rejects(verify(await stranger.sign({ ...right(), iss: stranger.url })), refused)
  })

  it('cannot be trusted under the name of our own issuer', () => {
    const [keys, issuer] = [new URL(idp.jwksUri), own.url]
    const trusted = read(
      JSON.stringify([{ issuer, jwksUri: idp.jwksUri, scopes: ['orders:read'] }]),
    )

    assert.throws(() => createTokenVerifier({ issuer, audience, keys, trusted }), ConfigError)
  })

  it('of an unknown issuer make no request to anybody', async () => {
    const before = stranger.asked()
    await assert.rejects(verify(await stranger.sign({ ...right(), iss: stranger.url })), refused)
    assert.equal(stranger.asked(), before)
  })
})

describe('TRUSTED_ISSUERS', () => {
  const one = {
    issuer: 'https://idp.test',
    jwksUri: 'https://idp.test/keys',
    scopes: ['orders:read'],
  }

  it('is a JSON array, and empty by default', () => {
    assert.deepEqual(read(''), [])
    assert.deepEqual(read(JSON.stringify([one])), [{ ...one, lifetimeMaxSeconds: 3_600 }])
  })

  it('is refused when it is anything else', () => {
    const wrong = [
      'https://idp.test',
      '{}',
      JSON.stringify([{ ...one, scopes: [] }]),
      JSON.stringify([{ ...one, issuer: 'idp' }]),
      JSON.stringify([{ ...one, secret: 'x' }]),
      JSON.stringify([one, one]),
      // Their clients would have the same names.
      JSON.stringify([one, { ...one, issuer: 'https://idp.test/' }]),
    ]
    for (const value of wrong) assert.throws(() => read(value), ConfigError, value)
  })

  it('cannot open what is bound to an order', () => {
    const tool = (name: string, scope: string, bound: 'order' | 'none') => {
      const [input, output] = [z.object({ orderId: z.string() }), z.object({})]
      const contract = { name, description: '', version: 1, scope, bound, input, output }
      return implement(defineTool({ ...contract, annotations: readsOnly }), async () => ({}))
    }
    const tools = [
      tool('open', 'order:write', 'order'),
      tool('get', 'order:read', 'order'),
      tool('find', 'order:read', 'none'),
    ]
    const trusting = (scope: string) => read(JSON.stringify([{ ...one, scopes: [scope] }]))

    assertNoBoundScopes(trusting('order:read'), tools)
    assertNoBoundScopes(trusting('elsewhere:read'), tools)
    assert.throws(() => assertNoBoundScopes(trusting('order:write'), tools), /order:write/)
  })
})
