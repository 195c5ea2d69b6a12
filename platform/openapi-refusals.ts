/** The refusals that operations have in common, and those of one operation, as OpenAPI responses. */
import { type Operation, problemType } from './openapi-operation.ts'

type Json = Readonly<Record<string, unknown>>

const problem = { $ref: '#/components/schemas/Problem' }
const challenge = (required: boolean) => ({
  'WWW-Authenticate': {
    description: 'What a token would need (RFC 6750, RFC 9728)',
    ...{ required, schema: { type: 'string' } },
  },
})
const retryAfter = (required: boolean) => ({
  'Retry-After': { description: 'Seconds', required, schema: { type: 'integer', minimum: 1 } },
})
const response = (description: string, headers?: Json): Json => ({
  description,
  ...(headers === undefined ? {} : { headers }),
  content: { [problemType]: { schema: problem } },
})

/** By the name that they have in the document. */
export const sharedResponses: Readonly<Record<string, Json>> = {
  Malformed: response('The request is malformed; sending it again will not help'),
  Unauthenticated: response('No valid access token for this audience', challenge(true)),
  Forbidden: response('The token lacks the scope, or is not for this order', challenge(false)),
  BodyTooLarge: response('The body is too large'),
  UrlTooLong: response('The URL, or a part of it, is too long'),
  UnsupportedMediaType: response('The body is not JSON'),
  TooManyRequests: response('Too many requests of this client; nothing was done', retryAfter(true)),
  Internal: response('A mistake on our side; its text is not shown'),
  Unavailable: response('Something this needs is away; a retry may help', retryAfter(false)),
}

const withToken: Readonly<Record<number, string>> = {
  401: 'Unauthenticated',
  403: 'Forbidden',
  429: 'TooManyRequests',
  500: 'Internal',
  503: 'Unavailable',
}
const withBody: Readonly<Record<number, string>> = {
  400: 'Malformed',
  413: 'BodyTooLarge',
  415: 'UnsupportedMediaType',
}
const withPath: Readonly<Record<number, string>> = { 400: 'Malformed', 414: 'UrlTooLong' }
/** Codes that come with a status whatever the operation. */
const codesOfAll: Readonly<Record<number, readonly string[]>> = {
  400: ['malformed_request'],
  429: ['rate_limited'],
}

/** The responses of one operation that are problems, by status. */
export function refusalsOf(operation: Operation): Record<string, Json> {
  if (operation.ownRefusals) return {}
  const shared = {
    ...(operation.access === 'open' ? {} : withToken),
    ...(operation.pathParameters === undefined ? {} : withPath),
    ...(operation.body === undefined ? {} : withBody),
  }
  const refs = Object.entries(shared).map(([status, name]) => [
    status,
    { $ref: `#/components/responses/${name}` },
  ])
  const own = Object.entries(operation.refusals ?? {}).map(([status, codes]) => {
    const more = shared[Number(status)] === undefined ? [] : (codesOfAll[Number(status)] ?? [])
    return [status, ownResponse(codes.length === 0 ? [] : [...codes, ...more], Number(status))]
  })
  return Object.fromEntries([...refs, ...own])
}

function ownResponse(codes: readonly string[], status: number): Json {
  const headers = status === 429 || status === 503 ? retryAfter(status === 429) : undefined
  if (codes.length === 0) return response('Refused; `code` says why', headers)
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    ...(headers === undefined ? {} : { headers }),
    content: {
      [problemType]: { schema: { allOf: [problem, { properties: { code: { enum: codes } } }] } },
    },
  }
}
