/** The operations of the token issuer: `routes/token.ts` in the words of OpenAPI. */
import { z } from 'zod'
import { json, type Operation } from '../platform/openapi-operation.ts'
import { oauthErrorCodes } from './oauth-refusal.ts'
import { metadataPathOf } from './routes/token.ts'

const cached = { 'Cache-Control': 'How long they may be kept' }
const notCached = { 'Cache-Control': 'no-store' }

const jwks: Operation = {
  ...{ method: 'get', path: '/.well-known/jwks.json', operationId: 'getJwks', tag: 'tokens' },
  summary: 'The public keys of access tokens (RFC 7517)',
  access: 'open',
  answers: {
    200: json(
      'The keys',
      z.strictObject({
        keys: z.array(
          z.strictObject({
            kty: z.string(),
            crv: z.string(),
            x: z.string(),
            y: z.string().optional(),
            kid: z.string(),
            alg: z.string(),
            use: z.literal('sig'),
          }),
        ),
      }),
      cached,
    ),
  },
}

const metadata = (issuerUrl: string): Operation => ({
  ...{ method: 'get', path: metadataPathOf(issuerUrl), tag: 'tokens', access: 'open' },
  ...{ operationId: 'getAuthorizationServer', summary: 'What the issuer can do (RFC 8414)' },
  answers: {
    200: json(
      'The metadata',
      z.strictObject({
        issuer: z.url(),
        token_endpoint: z.url(),
        jwks_uri: z.url(),
        scopes_supported: z.array(z.string()),
        response_types_supported: z.tuple([]),
        grant_types_supported: z.tuple([z.literal('client_credentials')]),
        token_endpoint_auth_methods_supported: z.array(z.string()),
        token_endpoint_auth_signing_alg_values_supported: z.array(z.string()),
      }),
    ),
  },
})

const refused = (description: string, headers: Readonly<Record<string, string>> = {}) =>
  json(
    description,
    z.strictObject({ error: z.enum(oauthErrorCodes), error_description: z.string() }),
    { ...notCached, ...headers },
  )

const issueToken: Operation = {
  ...{ method: 'post', path: '/oauth/token', operationId: 'issueToken', tag: 'tokens' },
  summary: 'An access token for one resource (RFC 6749, 4.4)',
  description:
    'The client proves itself in one way: HTTP Basic, client_secret in the form, or a signed ' +
    'assertion (RFC 7523). Refusals are OAuth errors, not problem documents.',
  access: 'open',
  body: {
    mediaType: 'application/x-www-form-urlencoded',
    schema: z.object({
      grant_type: z.literal('client_credentials'),
      scope: z.string().optional().describe('Default: all that the client may do there'),
      resource: z.url().optional().describe('RFC 8707; default: this process'),
      client_id: z.string().optional(),
      client_secret: z.string().optional(),
      client_assertion_type: z
        .literal('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        .optional(),
      client_assertion: z.string().optional(),
    }),
  },
  answers: {
    200: json(
      'The token',
      z.strictObject({
        access_token: z.string(),
        token_type: z.literal('Bearer'),
        expires_in: z.int().min(1),
        scope: z.string(),
      }),
      notCached,
    ),
    400: refused('The form, grant type, scope or resource is refused'),
    401: refused('The client did not prove itself', { 'WWW-Authenticate': 'Basic' }),
    413: refused('The form is too large'),
    429: refused('Too many failed attempts, or requests of one client', {
      'Retry-After': 'Seconds',
    }),
    500: refused('A mistake on our side'),
    503: refused('Something this needs is away'),
  },
  ownRefusals: true,
}

/** `issuerUrl` says where its metadata is (RFC 8414, 3.1). */
export const tokenOperations = (issuerUrl: string): readonly Operation[] => [
  ...[issueToken, jwks, metadata(issuerUrl)],
]
