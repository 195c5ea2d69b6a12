import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import {
  ClientCredentials,
  type ClientCredentialsOptions,
} from '../../platform/client-credentials.ts'
import { waitFor } from '../support/wait-for.ts'

describe('access tokens for a foreign server', () => {
  let app: FastifyInstance
  let url: string
  let asked: { authorization: string | undefined; form: URLSearchParams }[]
  let answer: (reply: FastifyReply) => unknown
  let lifeSeconds: number
  let nowMs: number

  beforeEach(async () => {
    asked = []
    lifeSeconds = 600
    nowMs = 0
    answer = () => ({
      access_token: `t${asked.length}`,
      token_type: 'bearer',
      expires_in: lifeSeconds,
    })
    app = fastify({ forceCloseConnections: true })
    app.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      (_request, body, done) => done(null, body),
    )
    app.post('/token', async (request, reply) => {
      const form = new URLSearchParams(request.body as string)
      asked.push({ authorization: request.headers.authorization, form })
      return answer(reply)
    })
    url = await app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterEach(() => app.close())

  const provider = (more: Partial<ClientCredentialsOptions> = {}) =>
    new ClientCredentials({
      tokenEndpoint: new URL('/token', url),
      clientId: 'me',
      credential: { kind: 'secret', secret: 'a:b%c' },
      nowMs: () => nowMs,
      ...more,
    })

  it('are asked for once by eight calls at once, and kept', async () => {
    const tokens = provider()

    const got = await Promise.all(Array.from({ length: 8 }, () => tokens.token()))
    nowMs = 500_000

    assert.deepEqual([...new Set(got), await tokens.token()], ['t1', 't1'])
    assert.equal(asked.length, 1)
  })

  it('are asked for with the credential, the scope and the resource', async () => {
    await provider({ scope: 'read write', resource: 'https://mcp.example' }).token()

    const [{ authorization = '', form } = { form: new URLSearchParams() }] = asked
    const pair = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()
    assert.equal(pair, 'me:a%3Ab%25c')
    assert.deepEqual(Object.fromEntries(form), {
      grant_type: 'client_credentials',
      scope: 'read write',
      resource: 'https://mcp.example',
    })
  })

  it('are renewed beside the calls, 30 seconds before their end', async () => {
    const tokens = provider()
    await tokens.token()

    nowMs = 570_000
    const meanwhile = await Promise.all(Array.from({ length: 8 }, () => tokens.token()))

    assert.deepEqual([...new Set(meanwhile)], ['t1'])
    await waitFor(async () => (await tokens.token()) === 't2', { what: 'the new token' })
    assert.equal(asked.length, 2)
  })

  it('with a short life are renewed after 80 percent of it', async () => {
    lifeSeconds = 10
    const tokens = provider()
    await tokens.token()

    nowMs = 7_900
    await tokens.token()
    assert.equal(asked.length, 1)

    nowMs = 8_000
    await tokens.token()
    await waitFor(() => asked.length === 2, { what: 'a renewal' })
  })

  it('serve on when a renewal fails, until their end', async () => {
    const tokens = provider()
    await tokens.token()
    answer = (reply) => reply.code(503).send('busy')

    nowMs = 580_000
    assert.equal(await tokens.token(), 't1')
    await waitFor(() => asked.length === 2, { what: 'a renewal' })

    nowMs = 599_000
    const unavailable = { kind: 'unavailable', code: 'token_endpoint_unavailable' }
    await assert.rejects(tokens.token(), unavailable)
  })

  it('that were revoked are dropped once, however many calls were refused', async () => {
    const tokens = provider()
    await tokens.token()

    nowMs = 100_000
    await Promise.all(Array.from({ length: 8 }, () => tokens.onUnauthorized()))
    await tokens.onUnauthorized()

    assert.equal(await tokens.token(), 't2')
    assert.equal(asked.length, 2)
  })

  for (const [what, refuse, code] of [
    [
      'refuses the client',
      (r: FastifyReply) => r.code(401).send({ error: 'invalid_client' }),
      'client_refused',
    ],
    [
      'refuses the scope',
      (r: FastifyReply) => r.code(400).send({ error: 'invalid_scope' }),
      'client_refused',
    ],
    [
      'sends them elsewhere',
      (r: FastifyReply) => r.redirect('/other'),
      'token_endpoint_unavailable',
    ],
    [
      'gives another kind',
      () => ({ access_token: 't', token_type: 'mac' }),
      'token_endpoint_unavailable',
    ],
    ['answers no JSON', () => 'ok', 'token_endpoint_unavailable'],
    [
      'never ends',
      () => ({ access_token: 'x'.repeat(100_000), token_type: 'bearer' }),
      'token_endpoint_unavailable',
    ],
  ] as const) {
    it(`are not had from an issuer that ${what}`, async () => {
      answer = refuse

      await assert.rejects(provider().token(), { code })
    })
  }

  it('are not asked for where a network could read the credential', () => {
    for (const endpoint of [
      'http://idp.example/token',
      'http://10.0.0.7/token',
      'http://[fd00::1]/',
    ]) {
      assert.throws(() => provider({ tokenEndpoint: new URL(endpoint) }), /https/, endpoint)
    }
    for (const endpoint of [
      'https://idp.example/',
      'http://localhost:1/',
      'http://[::1]/',
      'http://auth/',
    ]) {
      provider({ tokenEndpoint: new URL(endpoint) })
    }
  })
})
