/** A client of one of our own servers: pinned to one protocol version, so nothing is negotiated. */
import {
  Client,
  type ServerCapabilities,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'

const protocolVersion = '2026-07-28'

/** Connects without a round trip, and so also to a server that is not there yet. */
export async function connect(options: {
  readonly server: string
  readonly baseUrl: string
  /** What of the server this client will use. */
  readonly capabilities: ServerCapabilities
  /** Adds the access token of each request. */
  readonly fetch: typeof fetch
}): Promise<Client> {
  const { server, capabilities } = options
  const client = new Client(
    { name: `baton-${server}-client`, version: '1' },
    { versionNegotiation: { mode: { pin: protocolVersion } } },
  )
  const url = new URL('/mcp', options.baseUrl)
  await client.connect(new StreamableHTTPClientTransport(url, { fetch: options.fetch }), {
    prior: {
      kind: 'modern',
      discover: {
        supportedVersions: [protocolVersion],
        capabilities,
        serverInfo: { name: server, version: '1' },
        ttlMs: 0,
        cacheScope: 'private',
      },
    },
  })
  return client
}
