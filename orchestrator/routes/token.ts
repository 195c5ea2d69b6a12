/**
 * `POST /oauth/token` (client credentials), the issuer's metadata (RFC 8414) and its keys.
 *
 * The only route that takes a form, and the only one whose refusals are not problem documents:
 * OAuth clients read `error` and `error_description`.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { lifetimeMaxSeconds } from '../../platform/access-tokens.ts'
import { databaseFault, type Pool } from '../../platform/db.ts'
import { AppError } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Admit } from '../../platform/rate-limit.ts'
import { type Login, proveClient, readLogin } from '../client-login.ts'
import type { KnownClient } from '../client-registry.ts'
import { FailedLogins } from '../failed-logins.ts'
import type { Issuer } from '../issuer.ts'
import { OAuthRefusal } from '../oauth-refusal.ts'
import { outsideScopes } from '../outside-scopes.ts'
import { jwksMaxAgeSeconds } from '../token-config.ts'
import { decideGrant, type ResourceUrls, readForm } from '../token-grant.ts'

const formBytesMax = 16 * 1024

export interface TokenDeps {
  readonly pool: Pool
  readonly log: Log
  readonly issuer: Issuer
  readonly issuerUrl: string
  readonly resources: ResourceUrls
  /** Of a client that proved itself: its rate, which its calls share. */
  readonly admit: Admit
  /** Hears why a client was refused, by one of the words of its answer. */
  readonly onRefused?: (reason: string) => void
}

/** RFC 8414, 3.1: the well-known part goes in front of a path that the issuer may have. */
export const metadataPathOf = (issuerUrl: string): string =>
  `/.well-known/oauth-authorization-server${new URL(issuerUrl).pathname.replace(/\/$/, '')}`

export function tokenRoutes(app: FastifyInstance, deps: TokenDeps): void {
  const { issuer, issuerUrl, resources } = deps
  const at = (path: string, base = issuerUrl) => new URL(path, base).href
  // The issuer by the name that it has for callers, too: where the two differ, they know only that.
  const audiences = [
    ...new Set([issuerUrl, at('/oauth/token'), at('/oauth/token', resources.orchestrator)]),
  ]
  const prove = createProver(deps, audiences)

  app.get('/.well-known/jwks.json', async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${jwksMaxAgeSeconds}`)
    return issuer.jwks()
  })

  app.get(metadataPathOf(issuerUrl), async () => ({
    issuer: issuerUrl,
    token_endpoint: at('/oauth/token'),
    jwks_uri: at('/.well-known/jwks.json'),
    scopes_supported: outsideScopes,
    response_types_supported: [],
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'private_key_jwt',
    ],
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'EdDSA'],
  }))

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: formBytesMax },
      (_request, body, done) => done(null, body),
    )
    scope.setErrorHandler((error, _request, reply) => refuse(reply, error, deps))
    scope.post('/oauth/token', async (request, reply) => {
      const form = readForm(typeof request.body === 'string' ? request.body : '')
      const client = await prove(request, readLogin(request.headers.authorization, form))
      deps.admit(client.clientId)
      const { audience, scopes } = decideGrant(form, client.scopes, resources)
      const grant = { clientId: client.clientId, audience, scopes }
      const accessToken = await issuer.signForClient(grant)
      deps.log.info(grant, 'access token issued')
      return noStore(reply).send({
        access_token: accessToken,
        token_type: 'Bearer',
        expires_in: lifetimeMaxSeconds,
        scope: scopes.join(' '),
      })
    })
  })
}

/** Proves who asks; too many that failed must wait, and are then not even looked at. */
function createProver({ pool }: TokenDeps, audiences: readonly string[]) {
  const failed = new FailedLogins()
  return async (request: FastifyRequest, login: Login): Promise<KnownClient> => {
    const seconds = failed.waitSeconds(login.clientId, request.ip)
    if (seconds > 0) {
      throw new OAuthRefusal('invalid_client', 'Too many failed attempts', {
        status: 429,
        headers: { 'retry-after': String(seconds) },
      })
    }
    return proveClient(pool, login, audiences).catch((error: unknown) => {
      if (error instanceof OAuthRefusal) failed.add(login.clientId, request.ip)
      throw error
    })
  }
}

const noStore = (reply: FastifyReply): FastifyReply =>
  reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' })

function refuse(
  reply: FastifyReply,
  cause: unknown,
  { log, onRefused = () => {} }: TokenDeps,
): FastifyReply {
  const refusal = refusalOf(cause)
  const isOurs = refusal.status >= 500
  if (!isOurs) onRefused(reasonOf(refusal))
  log[isOurs ? 'error' : 'warn'](
    { code: refusal.code, why: refusal.message, ...(isOurs ? { err: cause } : {}) },
    'token request refused',
  )
  return noStore(reply)
    .code(refusal.status)
    .headers(refusal.headers)
    .send({ error: refusal.code, error_description: refusal.message })
}

/** The word of the answer, where it says enough. */
function reasonOf({ status, code }: OAuthRefusal): string {
  if (status !== 429) return code
  return code === 'invalid_client' ? 'too_many_failed_logins' : 'rate_limited'
}

function refusalOf(cause: unknown): OAuthRefusal {
  if (cause instanceof OAuthRefusal) return cause
  const { statusCode = 500 } = cause as { statusCode?: number }
  if (statusCode < 500) {
    const text = 'Send a short application/x-www-form-urlencoded body'
    return new OAuthRefusal('invalid_request', text, { status: statusCode === 413 ? 413 : 400 })
  }
  if (cause instanceof AppError && cause.code === 'rate_limited') {
    return new OAuthRefusal('temporarily_unavailable', cause.message, { ...cause.http })
  }
  const fault = databaseFault(cause)
  return fault instanceof AppError && fault.kind === 'unavailable'
    ? new OAuthRefusal('temporarily_unavailable', 'Try again in a few seconds')
    : new OAuthRefusal('server_error', 'Something went wrong on our side')
}
