/** The operations that every process has: probes, its document, and the doors to its tools. */
import { z } from 'zod'
import { invokeEnvelope } from './facade.ts'
import { type Answer, json, jsonType, type Operation, problemType } from './openapi-operation.ts'
import type { ToolContract } from './tool.ts'
import { versionHeader } from './tool-version.ts'

const anyObject = z.record(z.string(), z.unknown())
const scopeName = z.string()

const probes = (metadataPath: string): readonly Operation[] => [
  {
    ...{ method: 'get', path: '/healthz', operationId: 'getHealth', tag: 'process' },
    ...{ summary: 'Whether the process runs', access: 'open' },
    answers: { 200: json('It does', z.strictObject({ status: z.literal('ok') })) },
  },
  {
    ...{ method: 'get', path: '/readyz', operationId: 'getReadiness', tag: 'process' },
    ...{ summary: 'Whether it should be sent requests', access: 'open' },
    answers: { 200: json('Yes', readiness('ready')), 503: json('No', readiness('not_ready')) },
  },
  {
    ...{ method: 'get', path: '/metrics', operationId: 'getMetrics', tag: 'process' },
    ...{ summary: 'What Prometheus scrapes', access: 'open' },
    answers: {
      200: {
        description: 'Metrics; with exemplars for who asks for OpenMetrics',
        content: { 'text/plain': z.string(), 'application/openmetrics-text': z.string() },
      },
    },
  },
  {
    ...{ method: 'get', path: '/openapi.json', operationId: 'getOpenApi', tag: 'process' },
    ...{ summary: 'This document', access: 'open' },
    answers: { 200: json('OpenAPI 3.1', z.looseObject({ openapi: z.literal('3.1.0') })) },
  },
  {
    ...{ method: 'get', path: metadataPath, tag: 'process' },
    ...{ operationId: 'getProtectedResource', summary: 'Who issues tokens for this process' },
    access: 'open',
    answers: {
      200: json(
        'RFC 9728 metadata',
        z.strictObject({
          resource: z.url(),
          authorization_servers: z.array(z.url()).min(1),
          scopes_supported: z.array(scopeName),
          bearer_methods_supported: z.tuple([z.literal('header')]),
        }),
      ),
    },
  },
]

function readiness(status: 'ready' | 'not_ready') {
  return z.strictObject({ status: z.literal(status), draining: z.boolean() })
}

const listTools: Operation = {
  ...{ method: 'get', path: '/tools', operationId: 'listTools', tag: 'tools', access: 'token' },
  summary: 'The tools that the token allows',
  answers: {
    200: json(
      'In order of their names',
      z.strictObject({
        tools: z.array(
          z.strictObject({
            name: z.string(),
            description: z.string(),
            version: z.int().min(1),
            scope: scopeName,
            annotations: z.strictObject({
              readOnlyHint: z.boolean(),
              destructiveHint: z.boolean(),
              idempotentHint: z.boolean(),
              openWorldHint: z.boolean(),
            }),
            inputSchema: anyObject,
            outputSchema: anyObject,
          }),
        ),
      }),
    ),
  },
}

const warning = z.strictObject({ code: z.string(), message: z.string(), next: z.string() })

/** Of every call of a tool; a tool's own codes are its contract's. */
const toolRefusals = { 400: [], 404: [], 409: [], 422: [] } as const

const resultOf = (output: z.ZodType): Answer =>
  json('What the tool answered', z.strictObject({ result: output, warnings: z.array(warning) }))

const versionHeaders = (present?: number) =>
  z.object({
    [versionHeader]: z
      .int()
      .min(1)
      .optional()
      .describe(
        'The version of the tool that the caller was written for' +
          (present === undefined ? '' : `; the present one is ${present}`),
      ),
  })

const invokeAny: Operation = {
  ...{ method: 'post', path: '/invoke', operationId: 'invoke', tag: 'tools', access: 'token' },
  summary: 'Call the tool that the body names',
  headers: versionHeaders(),
  body: { schema: invokeEnvelope },
  answers: { 200: resultOf(anyObject) },
  refusals: toolRefusals,
}

const invokeOne = (contract: ToolContract): Operation => ({
  ...{ method: 'post', path: `/invoke/${contract.name}`, tag: 'tools' },
  operationId: `invoke_${contract.name}`,
  summary: `Call ${contract.name}`,
  description: contract.description,
  access: { scope: contract.scope },
  headers: versionHeaders(contract.version),
  body: { schema: contract.input },
  answers: { 200: resultOf(contract.output) },
  refusals: toolRefusals,
})

const rpc = z.record(z.string(), z.unknown()).describe('A JSON-RPC 2.0 message')
const refused = (description: string, headers?: Record<string, string>): Answer => ({
  description,
  content: { [jsonType]: anyObject, [problemType]: anyObject },
  ...(headers === undefined ? {} : { headers }),
})
const challenge = { 'WWW-Authenticate': 'What a token would need (RFC 6750, RFC 9728)' }

const mcp: Operation = {
  ...{ method: 'post', path: '/mcp', operationId: 'mcp', tag: 'mcp', access: 'token' },
  summary: 'The Model Context Protocol, Streamable HTTP',
  description:
    'One JSON-RPC message a request, revisions 2026-07-28 and 2025-11-25; see ' +
    'https://modelcontextprotocol.io/specification. Other methods than POST are answered 405.',
  body: { schema: rpc },
  answers: {
    200: {
      description: 'The answer, or a stream that ends with it',
      content: { [jsonType]: rpc, 'text/event-stream': z.string() },
    },
    202: { description: 'A notification was taken' },
    400: refused('Not a message of the protocol'),
    401: refused('No valid access token for this audience', challenge),
    403: refused('The token lacks the scope, or Host or Origin is foreign', challenge),
    404: refused('There is no such resource to watch'),
    406: refused('Accept must name application/json and text/event-stream'),
    413: refused('The body is too large'),
    415: refused('The body is not JSON'),
    429: refused('Too many requests of this client', { 'Retry-After': 'Seconds' }),
    500: refused('A mistake on our side'),
    503: refused('Something this needs is away, or the process is about to stop'),
  },
  ownRefusals: true,
}

/** Those of a process that offers these tools; its RFC 9728 document is at `metadataPath`. */
export const doorOperations = (
  contracts: readonly ToolContract[],
  metadataPath: string,
): readonly Operation[] => [
  ...probes(metadataPath),
  listTools,
  invokeAny,
  ...contracts.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(invokeOne),
  mcp,
]
