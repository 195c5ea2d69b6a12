/** MCP requests as they are on the wire, for tests that look at HTTP statuses, headers and bodies. */

export interface McpPost {
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Posts one message of the 2026-07-28 protocol to `<baseUrl>/mcp`. */
export function postMcp(
  baseUrl: string,
  { method, params = {}, token, headers = {}, signal }: McpPost,
): Promise<Response> {
  const name = params.name ?? params.uri
  return fetch(new URL('/mcp', baseUrl), {
    method: 'POST',
    ...(signal === undefined ? {} : { signal }),
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(name === undefined ? {} : { 'mcp-name': String(name) }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
          ...(params._meta as object | undefined),
        },
      },
    }),
  })
}

/** Posts one `tools/call`; without a token if none. */
export const postToolCall = (
  baseUrl: string,
  name: string,
  input: object,
  token?: string,
): Promise<Response> =>
  postMcp(baseUrl, { method: 'tools/call', params: { name, arguments: input }, token })

/** The answer to it: the `result`, or the `error` with our `code` in its data. */
// biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
export async function askMcp(baseUrl: string, post: McpPost): Promise<any> {
  const response = await postMcp(baseUrl, post)
  return response.json()
}
