/**
 * An OAuth client without a person: follows the redirect itself and keeps credentials per issuer, so
 * that none of one authorization server is ever shown to another (SEP-2352).
 */
import { randomUUID } from 'node:crypto'
import type {
  OAuthClientInformationContext,
  OAuthClientMetadata,
  OAuthClientProvider,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from '@modelcontextprotocol/client'

const authorizeTimeoutMs = 5_000
const redirectUrl = 'http://127.0.0.1:3000/callback'

interface ProviderOptions {
  /** Where the client's own metadata document is (SEP-991): sent as its `client_id`. */
  readonly metadataUrl?: string
  /** Credentials from before, for servers that register nobody. */
  readonly registered?: { readonly client_id: string; readonly client_secret: string }
}

export class RedirectingProvider implements OAuthClientProvider {
  readonly redirectUrl = redirectUrl
  readonly clientMetadataUrl?: string
  readonly clientMetadata: OAuthClientMetadata = {
    client_name: 'Baton conformance client',
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    application_type: 'native',
  }
  readonly #registered: ProviderOptions['registered']
  readonly #clients = new Map<string, StoredOAuthClientInformation>()
  readonly #tokens = new Map<string, StoredOAuthTokens>()
  #latest: StoredOAuthTokens | undefined
  #verifier = ''
  #state = ''
  #callback: URLSearchParams | undefined

  constructor({ metadataUrl, registered }: ProviderOptions) {
    if (metadataUrl !== undefined) this.clientMetadataUrl = metadataUrl
    this.#registered = registered
  }

  /** What the authorization server sent back with the browser; each answer is handed out once. */
  takeCallback(): URLSearchParams {
    const callback = this.#callback
    this.#callback = undefined
    if (callback === undefined) throw new Error('No authorization was under way')
    if (callback.get('state') !== this.#state) throw new Error('The answer has another state')
    return callback
  }

  state(): string {
    this.#state = randomUUID()
    return this.#state
  }

  clientInformation(context?: OAuthClientInformationContext) {
    return this.#clients.get(context?.issuer ?? '') ?? this.#registered
  }
  saveClientInformation(
    client: StoredOAuthClientInformation,
    context?: OAuthClientInformationContext,
  ): void {
    this.#clients.set(context?.issuer ?? '', client)
  }

  tokens(context?: OAuthClientInformationContext): StoredOAuthTokens | undefined {
    return context === undefined ? this.#latest : this.#tokens.get(context.issuer)
  }
  saveTokens(tokens: StoredOAuthTokens, context?: OAuthClientInformationContext): void {
    this.#tokens.set(context?.issuer ?? '', tokens)
    this.#latest = tokens
  }

  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier
  }
  codeVerifier(): string {
    return this.#verifier
  }

  async redirectToAuthorization(url: URL): Promise<void> {
    const signal = AbortSignal.timeout(authorizeTimeoutMs)
    const response = await fetch(url, { redirect: 'manual', signal })
    const location = response.headers.get('location')
    if (location === null) throw new Error(`The authorization server answered ${response.status}`)
    this.#callback = new URL(location).searchParams
  }
}
