/**
 * The tools for callers that do not speak MCP: `GET /tools`, `POST /invoke/:tool` with the arguments
 * as body, `POST /invoke` with `{tool, arguments}`. Same tools, tokens, checks and errors as `/mcp`.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { hasScope } from './authority.ts'
import { invalid, missing, named } from './errors.ts'
import type { Identify } from './identify.ts'
import type { RunTool } from './run-tool.ts'
import { answerProblem } from './service.ts'
import type { Tool } from './tool.ts'
import { versionHeader } from './tool-version.ts'

export interface FacadeOptions {
  readonly tools: readonly Tool[]
  readonly identify: Identify
  readonly runTool: RunTool
}

/** The body of `POST /invoke`. */
export const invokeEnvelope = z.strictObject({
  tool: z.string().max(100),
  arguments: z.record(z.string(), z.unknown()).default({}),
})

/** Mounts the facade. A caller sees the tools of its scopes, and is refused the others. */
export function mountFacade(app: FastifyInstance, options: FacadeOptions): void {
  const tools = options.tools.toSorted((a, b) => (a.contract.name < b.contract.name ? -1 : 1))
  const described = new Map(tools.map((tool) => [tool, describe(tool)]))

  app.get('/tools', async (request) => {
    const token = await options.identify(request)
    const allowed = tools.filter(({ contract }) => hasScope(token, contract))
    return { tools: allowed.map((tool) => described.get(tool)) }
  })

  const invoke = async (
    request: FastifyRequest,
    reply: FastifyReply,
    name: string,
    input: unknown,
  ) => {
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const token = await options.identify(request)
    const tool = tools.find(({ contract }) => contract.name === name)
    if (tool === undefined) throw noSuchTool()
    try {
      const { output, warnings } = await options.runTool({
        ...{ tool, input, token, via: 'facade', statedVersion: request.headers[versionHeader] },
        context: { signal: gone.signal, traceId: request.id },
      })
      return { result: output, warnings }
    } catch (cause) {
      // The record of the call has logged it.
      return answerProblem(reply, named(cause), request.id)
    }
  }

  app.post<{ Params: { tool: string } }>('/invoke/:tool', (request, reply) =>
    invoke(request, reply, request.params.tool, request.body),
  )
  app.post('/invoke', (request, reply) => {
    const parsed = invokeEnvelope.safeParse(request.body)
    if (!parsed.success) throw badEnvelope()
    return invoke(request, reply, parsed.data.tool, parsed.data.arguments)
  })
}

function describe({ contract }: Tool) {
  const { name, description, version, scope, annotations, input, output } = contract
  const inputSchema = z.toJSONSchema(input, { io: 'input' })
  return {
    name,
    description,
    version,
    scope,
    annotations,
    inputSchema,
    outputSchema: z.toJSONSchema(output),
  }
}

const noSuchTool = () =>
  missing('no_such_tool', 'There is no such tool', { next: 'Use a name of GET /tools.' })

const badEnvelope = () =>
  invalid('invalid_arguments', 'The body must be {"tool": ..., "arguments": {...}}', {
    next: 'Or POST the arguments alone to /invoke/<tool>.',
  })
