/**
 * The client that the conformance suite drives: `main.ts <server url>`, with the scenario in the
 * environment. Tool calls of the 2026 protocol go through platform/mcp-client.ts, which is what the
 * orchestrator uses; everything that it never does (listing, OAuth by redirect, the 2025 protocol) is
 * done by the SDK client beneath it.
 */
import assert from 'node:assert/strict'
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/client'
import { z } from 'zod'
import { createMcpCaller } from '../../../platform/mcp-client.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { defineTool, readsOnly } from '../../../platform/tool.ts'
import { newTraceId } from '../../../platform/tracing.ts'
import { RedirectingProvider } from './oauth-provider.ts'
import { type SessionOptions, withSession } from './session.ts'
import { visit } from './visit.ts'

const callTimeoutMs = 5_000
const clientMetadataUrl = 'https://conformance-test.local/client-metadata.json'

const context = z.object({
  client_id: z.string().optional(),
  client_secret: z.string().optional(),
  private_key_pem: z.string().optional(),
  signing_algorithm: z.string().optional(),
  toolCalls: z
    .array(z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) }))
    .optional(),
})

const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? ''
const protocolVersion = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? ''
const given = context.parse(JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}'))
const url = new URL(process.argv[2] ?? '')

if (scenario === 'tools_call' && protocolVersion === '2026-07-28') await callThroughOurs()
const authProvider = providerOf(scenario)
await withSession(
  { url, protocolVersion, ...(authProvider && { authProvider }) },
  async (client) => {
    const { toolCalls } = given
    if (toolCalls === undefined) return visit(client)
    await client.listTools()
    for (const call of toolCalls) await client.callTool(call)
  },
)

function providerOf(name: string): SessionOptions['authProvider'] | undefined {
  const { client_id: clientId = '', client_secret: clientSecret = '' } = given
  switch (name) {
    case 'auth/client-credentials-basic':
      return new ClientCredentialsProvider({ clientId, clientSecret })
    case 'auth/client-credentials-jwt':
      return new PrivateKeyJwtProvider({
        clientId,
        privateKey: given.private_key_pem ?? '',
        algorithm: given.signing_algorithm ?? 'ES256',
      })
    case 'auth/pre-registration':
      return new RedirectingProvider({
        registered: { client_id: clientId, client_secret: clientSecret },
      })
    case 'auth/basic-cimd':
      return new RedirectingProvider({ metadataUrl: clientMetadataUrl })
    default:
      return name.startsWith('auth/') ? new RedirectingProvider({}) : undefined
  }
}

/** The suite's tool answers in words only, which is no answer to a contract of ours: refused as such. */
async function callThroughOurs(): Promise<void> {
  const addNumbers = defineTool({
    name: 'add_numbers',
    description: 'Adds',
    version: 1,
    scope: 'numbers:add',
    bound: 'none',
    annotations: readsOnly,
    input: z.object({ a: z.number(), b: z.number() }),
    output: z.object({ sum: z.number() }),
  })
  const caller = createMcpCaller({
    server: 'conformance',
    baseUrl: url.origin,
    authorize: async () => 'a-token-that-nobody-checks',
    metrics: createMetrics('conformance'),
  })
  const call = caller.call(
    addNumbers,
    { a: 5, b: 3 },
    { timeoutMs: callTimeoutMs, traceId: newTraceId() },
  )
  await assert.rejects(call, { code: 'bad_tool_output' })
  await caller.close()
}
