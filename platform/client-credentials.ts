/**
 * Access tokens for a foreign MCP server, from its issuer by client credentials (RFC 6749, 4.4).
 *
 * One instance for each server. It has the shape of the MCP SDK's `AuthProvider`; the SDK's own ask
 * for a new token only after a 401, and once for every call that waits.
 */
import { z } from 'zod'
import { type ClientKey, signClientAssertion } from './client-assertions.ts'
import { type AppError, denied, unavailable } from './errors.ts'
import { readLimited } from './limited-body.ts'

const timeoutMsDefault = 10_000
const answerBytesMax = 64 * 1024
const tokenCharactersMax = 16_384
/** Renewed so long before its end, or after 80% of a life that is too short for that. */
const renewBeforeMs = 30_000
const renewAfterShare = 0.8
/** So close to its end a token is not sent any more. */
const lastUseMs = 2_000
/** A token refused so soon after it came is not asked for again: a new one would fare no better. */
const freshMs = 1_000
/** For an issuer that does not say how long its tokens live. */
const lifeSecondsDefault = 60

export type ClientCredential =
  | { readonly kind: 'secret'; readonly secret: string }
  /** `audience`: the identifier of the issuer. */
  | { readonly kind: 'key'; readonly key: ClientKey; readonly audience: string }

export interface ClientCredentialsOptions {
  readonly tokenEndpoint: URL
  readonly clientId: string
  readonly credential: ClientCredential
  readonly scope?: string
  /** RFC 8707: the server that the token is for. */
  readonly resource?: string
  /** Of one token request. Default 10 000. */
  readonly timeoutMs?: number
  /** Milliseconds that never go back; for tests. */
  readonly nowMs?: () => number
}

interface HeldToken {
  readonly accessToken: string
  readonly gotAtMs: number
  readonly renewAtMs: number
  readonly lastUseAtMs: number
}

const tokenAnswer = z.object({
  access_token: z.string().min(1).max(tokenCharactersMax),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.number().positive().max(86_400).default(lifeSecondsDefault),
})

export class ClientCredentials {
  readonly #options: ClientCredentialsOptions
  readonly #nowMs: () => number
  #held: HeldToken | undefined
  #pending: Promise<string> | undefined

  /** @throws Error for an endpoint that would get the credential unencrypted over a network. */
  constructor(options: ClientCredentialsOptions) {
    assertEncrypted(options.tokenEndpoint)
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
  }

  /**
   * A token that is good for now. Before its end a new one is fetched beside; only without a usable
   * one does a call wait, and all that wait share one request.
   *
   * @throws denied `client_refused`, unavailable `token_endpoint_unavailable`.
   */
  async token(): Promise<string> {
    const held = this.#held
    if (held === undefined || this.#nowMs() >= held.lastUseAtMs) return this.#renew()
    // Should it fail, the next call tries again, and the last of them says why.
    if (this.#nowMs() >= held.renewAtMs) this.#renew().catch(() => {})
    return held.accessToken
  }

  /** The server refused the token: the next call gets a new one. Once, however many were refused. */
  async onUnauthorized(): Promise<void> {
    const isFresh = this.#held !== undefined && this.#nowMs() - this.#held.gotAtMs < freshMs
    if (!isFresh && this.#pending === undefined) this.#held = undefined
    await (this.#pending ?? this.token())
  }

  #renew(): Promise<string> {
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  async #fetch(): Promise<string> {
    // Its life counts from before it was asked for, so never longer than the issuer means.
    const gotAtMs = this.#nowMs()
    const { access_token: accessToken, expires_in } = await requestToken(this.#options)
    const lifeMs = expires_in * 1_000
    this.#held = {
      accessToken,
      gotAtMs: this.#nowMs(),
      renewAtMs: gotAtMs + Math.max(lifeMs - renewBeforeMs, lifeMs * renewAfterShare),
      lastUseAtMs: gotAtMs + lifeMs - Math.min(lastUseMs, lifeMs * (1 - renewAfterShare)),
    }
    return accessToken
  }
}

async function requestToken(
  options: ClientCredentialsOptions,
): Promise<z.output<typeof tokenAnswer>> {
  const { tokenEndpoint, timeoutMs = timeoutMsDefault } = options
  const { headers, body } = await requestOf(options)
  try {
    const response = await fetch(tokenEndpoint, {
      method: 'POST',
      headers: { accept: 'application/json', ...headers },
      body,
      // A redirect would carry the credential to somebody else.
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const text = (await readLimited(response, answerBytesMax)).toString('utf8')
    if (response.status === 400 || response.status === 401) throw clientRefused(options, text)
    if (!response.ok) throw new Error(`The token endpoint answered ${response.status}`)
    return tokenAnswer.parse(JSON.parse(text))
  } catch (cause) {
    if ((cause as Partial<AppError>).kind === 'denied') throw cause
    throw unavailable('token_endpoint_unavailable', `${tokenEndpoint.host} gave no access token`, {
      next: 'Try again in a few seconds.',
      cause,
    })
  }
}

async function requestOf({ clientId, credential, scope, resource }: ClientCredentialsOptions) {
  const body = new URLSearchParams({ grant_type: 'client_credentials' })
  if (scope !== undefined) body.set('scope', scope)
  if (resource !== undefined) body.set('resource', resource)
  if (credential.kind === 'secret') {
    // RFC 6749, 2.3.1: both are form-encoded before they are joined.
    const pair = `${formEncode(clientId)}:${formEncode(credential.secret)}`
    return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, body }
  }
  body.set('client_id', clientId)
  body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  const assertion = await signClientAssertion(clientId, credential.audience, credential.key)
  body.set('client_assertion', assertion)
  return { headers: {}, body }
}

const formEncode = (text: string) => new URLSearchParams({ v: text }).toString().slice(2)

/** The `error` of RFC 6749, 5.2; its description is foreign text and stays out of our messages. */
function clientRefused({ clientId, tokenEndpoint }: ClientCredentialsOptions, text: string) {
  const error = /"error"\s*:\s*"([a-z_]{1,40})"/.exec(text)?.[1] ?? 'no reason given'
  return denied('client_refused', `${tokenEndpoint.host} refused client ${clientId}: ${error}`, {
    next: 'Check client id, credential, scope and resource.',
  })
}

/** Names without a dot are those of one host or one compose or Kubernetes network. */
function assertEncrypted({ protocol, hostname }: URL): void {
  const isPrivate = /^(127\.\d+\.\d+\.\d+|\[::1\]|[^.:]+)$/.test(hostname)
  if (protocol === 'https:' || isPrivate) return
  throw new Error(`The token endpoint at ${hostname} must use https: it is sent a credential`)
}
