/** Who asks: the verified token behind a request, within the client's rate. */
import type { IncomingHttpHeaders } from 'node:http'
import { bearerOf, type VerifiedToken, type VerifyToken } from './access-tokens.ts'
import { type AppError, denied, named } from './errors.ts'
import type { Metrics } from './metrics.ts'
import type { Admit } from './rate-limit.ts'

/**
 * @throws denied `missing_token`, `invalid_token` (401, with a challenge).
 * @throws unavailable `issuer_unavailable` (503), `rate_limited` (429).
 */
export type Identify = (request: {
  readonly headers: IncomingHttpHeaders
}) => Promise<VerifiedToken>

/** Reads the bearer token of the Authorization header (RFC 6750); nowhere else is one looked for. */
export function identifyByToken(options: {
  readonly verifyToken: VerifyToken
  readonly admit: Admit
  readonly metrics: Metrics
}): Identify {
  const { verifyToken, admit, metrics } = options
  return countRefusals(metrics, async ({ headers }) => {
    const bearer = bearerOf(headers.authorization)
    if (bearer === undefined) throw unauthenticated('missing_token')
    const token = await verifyToken(bearer).catch((cause: unknown) => {
      const { kind, code, message } = named(cause)
      throw kind === 'denied' ? unauthenticated(code, message) : cause
    })
    admit(token.clientId)
    return token
  })
}

/** The same, with every refusal counted. */
export function countRefusals(metrics: Metrics, identify: Identify): Identify {
  return (request) =>
    identify(request).catch((cause: unknown) => {
      metrics.refused(named(cause).code)
      throw cause
    })
}

function unauthenticated(
  code: string,
  message = 'Missing or malformed Authorization header',
): AppError {
  return denied(code, message, {
    next: 'Send Authorization: Bearer with a valid access token.',
    http: { status: 401, headers: { 'www-authenticate': 'Bearer error="invalid_token"' } },
  })
}
