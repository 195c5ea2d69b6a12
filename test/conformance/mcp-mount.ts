/** Stands in for the wiring that the services use. */
import { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, type McpHttpHandler, type McpServer } from '@modelcontextprotocol/server'
import type { FastifyInstance } from 'fastify'

export function mountMcpHandler(
  app: FastifyInstance,
  { createServer }: { readonly createServer: () => McpServer },
): McpHttpHandler {
  const handler = createMcpHandler(createServer)
  const serve = toNodeHandler(handler)
  const hosts = ['localhost', '127.0.0.1', '[::1]']
  const hostAllowed = hostHeaderValidation(hosts)
  const originAllowed = originValidation(hosts)
  app.all('/mcp', async (request, reply) => {
    reply.hijack()
    if (!hostAllowed(request.raw, reply.raw) || !originAllowed(request.raw, reply.raw)) return
    await serve(request.raw as Parameters<typeof serve>[0], reply.raw, request.body)
  })
  return handler
}
