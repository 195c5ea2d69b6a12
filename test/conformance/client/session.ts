/** A connected client of the wanted protocol, which authorizes itself as often as is reasonable. */
import {
  type AuthProvider,
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client'
import { RedirectingProvider } from './oauth-provider.ts'

const authorizationsMax = 2

export interface SessionOptions {
  readonly url: URL
  /** `2026-07-28` is spoken without a handshake; everything before it begins with `initialize`. */
  readonly protocolVersion: string
  readonly authProvider?: AuthProvider | OAuthClientProvider
}

/** Runs `work` on a client; after each authorization by redirect it is run again, from its beginning. */
export async function withSession(
  options: SessionOptions,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const { url, authProvider } = options
  for (let authorizations = 0; ; authorizations += 1) {
    const transport = new StreamableHTTPClientTransport(url, authProvider ? { authProvider } : {})
    const client = createClient(options.protocolVersion)
    try {
      await client.connect(transport)
      return await work(client)
    } catch (error) {
      const mayAuthorize = authProvider instanceof RedirectingProvider
      if (!(error instanceof UnauthorizedError) || !mayAuthorize) throw error
      if (authorizations === authorizationsMax) throw error
      await transport.finishAuth(authProvider.takeCallback())
    } finally {
      await client.close()
    }
  }
}

function createClient(protocolVersion: string): Client {
  const client = new Client(
    { name: 'baton-conformance-client', version: '1' },
    {
      capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
      ...(protocolVersion === '2026-07-28'
        ? { versionNegotiation: { mode: 'auto' as const } }
        : {}),
    },
  )
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: {} }))
  client.setRequestHandler('roots/list', () => ({ roots: [] }))
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'none',
    content: { type: 'text', text: 'Nothing' },
  }))
  return client
}
