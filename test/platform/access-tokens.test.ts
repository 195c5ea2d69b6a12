import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type FastifyReply, fastify } from 'fastify'
import * as jose from 'jose'
import {
  createTokenVerifier,
  generateStoredKey,
  openStoredKey,
  type StoredKey,
  signAccessToken,
  type VerifyToken,
} from '../../platform/access-tokens.ts'
import { freePort } from '../support/free-port.ts'
import { type TestIssuer, testIssuer } from '../support/test-issuer.ts'

const audience = 'http://localhost:3000'
const grant = { audience, clientId: 'orchestrator', scope: 'order:write order:read' }
const jwksOf = (url: string) => new URL('/.well-known/jwks.json', url)
const refused = { kind: 'denied', code: 'invalid_token' }

describe('access tokens', () => {
  let issuer: TestIssuer
  let verify: VerifyToken

  before(async () => {
    issuer = await testIssuer()
    verify = createTokenVerifier({ issuer: issuer.url, audience, keys: jwksOf(issuer.url) })
  })
  after(() => issuer[Symbol.asyncDispose]())

  it('are accepted by the service they are for, with client, scopes and order', async () => {
    const token = await verify(await issuer.sign({ ...grant, orderId: 'order-1' }))

    assert.equal(token.clientId, 'orchestrator')
    assert.deepEqual(token.scopes, ['order:write', 'order:read'])
    assert.equal(token.orderId, 'order-1')
    assert.ok(token.expiresAt - Date.now() / 1_000 <= 120)
  })

  it('for no order carry none', async () => {
    assert.equal('orderId' in (await verify(await issuer.sign(grant))), false)
  })

  it('are refused by every other service', async () => {
    const other = await issuer.sign({ ...grant, audience: 'http://localhost:3001' })

    await assert.rejects(verify(other), { ...refused, message: /claim aud/ })
  })

  it('are refused when a single character was changed', async () => {
    const [header, payload = '', signature] = (await issuer.sign(grant)).split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const forged = Buffer.from(JSON.stringify({ ...claims, scope: 'order:admin' }))
    const token = [header, forged.toString('base64url'), signature].join('.')

    await assert.rejects(verify(token), refused)
  })

  it('are refused when they are no tokens at all', async () => {
    for (const text of ['', 'abc', 'a.b.c', '..', 'x'.repeat(9_000), `${'e30'.repeat(3)}`]) {
      await assert.rejects(verify(text), refused, JSON.stringify(text.slice(0, 20)))
    }
  })

  it('of an issuer that nobody knows are refused', async () => {
    await using stranger = await testIssuer()

    await assert.rejects(verify(await stranger.sign(grant)), refused)
  })
})

describe('an access token with one thing wrong', () => {
  const issuer = 'http://issuer.test'
  let publicJwk: jose.JWK
  let privateKey: jose.CryptoKey
  let verify: VerifyToken

  before(async () => {
    const pair = await jose.generateKeyPair('ES256', { extractable: true })
    privateKey = pair.privateKey
    publicJwk = { ...(await jose.exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
    verify = createTokenVerifier({ issuer, audience, keys: async () => ({ keys: [publicJwk] }) })
  })

  const now = () => Math.floor(Date.now() / 1_000)
  const rightClaims = () => ({
    iss: issuer,
    aud: audience as string | string[],
    sub: 'c',
    client_id: 'c',
    scope: 's',
    jti: 'j',
    iat: now(),
    exp: now() + 60,
  })
  const header = { alg: 'ES256', typ: 'at+jwt', kid: 'k1' }
  const sign = (claims: object, protectedHeader: jose.JWTHeaderParameters = header) =>
    new jose.SignJWT({ ...claims }).setProtectedHeader(protectedHeader).sign(privateKey)

  it('would be fine without it', async () => {
    assert.equal((await verify(await sign(rightClaims()))).clientId, 'c')
  })

  it('may be 30 seconds off, and no more', async () => {
    const times = (from: number, to: number) => ({ iat: now() + from, exp: now() + to })
    await verify(await sign({ ...rightClaims(), ...times(-100, -25) }))
    await verify(await sign({ ...rightClaims(), ...times(25, 100) }))
    for (const wrong of [times(-100, -31), times(35, 100)]) {
      await assert.rejects(verify(await sign({ ...rightClaims(), ...wrong })), refused)
    }
  })

  const changes: readonly (readonly [string, () => object])[] = [
    ['another issuer', () => ({ iss: 'http://other.test' })],
    ['another audience', () => ({ aud: 'http://localhost:3999' })],
    ['two audiences', () => ({ aud: [audience, 'http://localhost:3999'] })],
    ['expired a minute ago', () => ({ iat: now() - 120, exp: now() - 60 })],
    ['a lifetime above 120 seconds', () => ({ exp: now() + 121 })],
    ['an end before its beginning', () => ({ iat: now() + 20, exp: now() + 10 })],
    ['issued in the future', () => ({ iat: now() + 90, exp: now() + 150 })],
    ['not valid yet', () => ({ nbf: now() + 60 })],
    ['a number as client', () => ({ client_id: 7 })],
    ['a list as scope', () => ({ scope: ['s'] })],
    ['a number as order', () => ({ order_id: 7 })],
    ['a text as expiry', () => ({ exp: 'tomorrow' })],
    ...['iss', 'aud', 'sub', 'client_id', 'scope', 'jti', 'iat', 'exp'].map((claim) => {
      return [`no ${claim}`, () => ({ [claim]: undefined })] as const
    }),
  ]
  for (const [what, change] of changes) {
    it(`is refused: ${what}`, async () => {
      await assert.rejects(verify(await sign({ ...rightClaims(), ...change() })), refused)
    })
  }

  it('is refused: another type of token', async () => {
    for (const typ of ['JWT', 'id+jwt', undefined]) {
      const other = { alg: 'ES256', kid: 'k1', ...(typ === undefined ? {} : { typ }) }
      await assert.rejects(verify(await sign(rightClaims(), other)), refused, String(typ))
    }
  })

  it('is refused: signed with the public key as a shared secret', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(publicJwk))
    const token = await new jose.SignJWT(rightClaims())
      .setProtectedHeader({ ...header, alg: 'HS256' })
      .sign(secret)

    await assert.rejects(verify(token), refused)
  })

  it('is refused: not signed at all', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const token = `${encode({ ...header, alg: 'none' })}.${encode(rightClaims())}.`

    await assert.rejects(verify(token), refused)
  })

  it('is refused: another elliptic curve', async () => {
    const pair = await jose.generateKeyPair('ES384')
    const token = await new jose.SignJWT(rightClaims())
      .setProtectedHeader({ ...header, alg: 'ES384' })
      .sign(pair.privateKey)

    await assert.rejects(verify(token), refused)
  })

  it('is refused: signed by another key under the same key id', async () => {
    const pair = await jose.generateKeyPair('ES256')
    const token = await new jose.SignJWT(rightClaims())
      .setProtectedHeader(header)
      .sign(pair.privateKey)

    await assert.rejects(verify(token), refused)
  })

  it('is refused: a key id that the issuer does not have', async () => {
    await assert.rejects(verify(await sign(rightClaims(), { ...header, kid: 'k2' })), refused)
  })
})

describe('the keys of the issuer', () => {
  const encryptionKey = randomBytes(32)
  const unavailable = { kind: 'unavailable', code: 'issuer_unavailable' }
  const signedBy = async (issuer: string, stored: StoredKey) =>
    signAccessToken(issuer, await openStoredKey(stored, encryptionKey), grant)

  it('are stored encrypted and open with the right key only', async () => {
    const stored = await generateStoredKey(encryptionKey)

    assert.equal((await openStoredKey(stored, encryptionKey)).kid, stored.kid)
    assert.equal(stored.publicJwk.d, undefined)
    assert.doesNotMatch(JSON.stringify(stored), /"d"/)
    await assert.rejects(openStoredKey(stored, randomBytes(32)))
  })

  it('cannot be had when nobody listens: the caller may try again', async () => {
    const issuer = `http://127.0.0.1:${await freePort()}`
    const verify = createTokenVerifier({ issuer, audience, keys: jwksOf(issuer) })
    const token = await signedBy(issuer, await generateStoredKey(encryptionKey))

    await assert.rejects(verify(token), unavailable)
  })

  const answers: readonly (readonly [string, (reply: FastifyReply) => unknown])[] = [
    ['an error', (reply) => reply.code(503).send('busy')],
    ['a page instead of keys', (reply) => reply.type('text/html').send('<html>')],
    ['JSON without keys', (reply) => reply.send({ error: 'busy' })],
  ]
  for (const [what, answer] of answers) {
    it(`cannot be had when the issuer answers ${what}: the caller may try again`, async () => {
      await using server = await jwksServer(answer)
      const verify = createTokenVerifier({
        issuer: server.url,
        audience,
        keys: jwksOf(server.url),
      })
      const token = await signedBy(server.url, await generateStoredKey(encryptionKey))

      await assert.rejects(verify(token), unavailable)
    })
  }

  it('stay known while the issuer is away, and one request serves all who wait', async () => {
    const stored = await generateStoredKey(encryptionKey)
    let asked = 0
    let isAway = false
    await using server = await jwksServer((reply) => {
      asked += 1
      return isAway ? reply.code(503).send('away') : reply.send({ keys: [stored.publicJwk] })
    })
    const verify = createTokenVerifier({ issuer: server.url, audience, keys: jwksOf(server.url) })
    const token = await signedBy(server.url, stored)

    await Promise.all(Array.from({ length: 20 }, () => verify(token)))
    isAway = true
    await verify(token)

    assert.equal(asked, 1)
  })
})

async function jwksServer(answer: (reply: FastifyReply) => unknown) {
  const app = fastify({ forceCloseConnections: true })
  app.get('/.well-known/jwks.json', async (_request, reply) => answer(reply))
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, [Symbol.asyncDispose]: () => app.close() }
}
