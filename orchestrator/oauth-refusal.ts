/** Refusals of the token endpoint, in the words of RFC 6749, 5.2, and RFC 8707, 2. */

const statuses = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_scope: 400,
  invalid_target: 400,
  unsupported_grant_type: 400,
  temporarily_unavailable: 503,
  server_error: 500,
} as const
export type OAuthErrorCode = keyof typeof statuses
export const oauthErrorCodes = Object.keys(statuses) as readonly OAuthErrorCode[]

export class OAuthRefusal extends Error {
  readonly code: OAuthErrorCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  /** `message` goes to the client as `error_description`: never anything that it sent. */
  constructor(
    code: OAuthErrorCode,
    message: string,
    answer: { status?: number; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message)
    this.name = 'OAuthRefusal'
    this.code = code
    this.status = answer.status ?? statuses[code]
    this.headers =
      code === 'invalid_client' && this.status === 401
        ? { 'www-authenticate': 'Basic realm="baton", charset="UTF-8"', ...answer.headers }
        : (answer.headers ?? {})
  }
}
