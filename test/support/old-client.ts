/** The independent client of the 2025 protocol era, connected. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

/** The caller closes it. */
export async function oldClient(baseUrl: string, token: string): Promise<Client> {
  const client = new Client({ name: 'old', version: '1' })
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  const url = new URL('/mcp', baseUrl)
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }))
  return client
}
