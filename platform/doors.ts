/**
 * The doors of a process that offers tools: `/mcp` and the facade over the same tools, the record of
 * calls behind both, the bus that tells watchers of changes, and the document of all of it.
 */
import type { FastifyInstance } from 'fastify'
import type { Pool } from './db.ts'
import { mountFacade } from './facade.ts'
import type { Identify } from './identify.ts'
import type { Log } from './log.ts'
import { metadataUrlOf, mountMcp, type Primitives } from './mcp-server.ts'
import type { Metrics } from './metrics.ts'
import { buildOpenApi } from './openapi.ts'
import { doorOperations } from './openapi-doors.ts'
import type { ApiPart } from './openapi-operation.ts'
import { ResourceBus, resourceChannel } from './resource-bus.ts'
import { createToolRunner } from './run-tool.ts'
import { forgetOldCalls, spendIn } from './spent-tokens.ts'
import { ToolCallLog } from './tool-calls.ts'

export interface DoorsOptions {
  readonly name: string
  readonly version: string
  /** Own base URL: the audience of tokens, and a Host that requests may name. */
  readonly resourceUrl: string
  /** Who signs tokens for us, for the RFC 9728 document. */
  readonly issuers: readonly string[]
  readonly primitives: Primitives
  readonly identify: Identify
  readonly pool: Pool
  readonly databaseUrl: string
  readonly log: Log
  readonly metrics: Metrics
  /** How long rows of calls are kept. */
  readonly callDays: number
  /** The scope that may watch what is any client's. */
  readonly seesAll?: string
  /** What the process serves besides, for `/openapi.json`. */
  readonly api?: ApiPart
}

export interface Doors {
  /** Before the process listens. */
  start(): Promise<void>
  /** Streams end, requests are still served. */
  endStreams(): void
  /** After the drain: cuts off what still runs and writes the last rows. */
  stop(): Promise<void>
}

const forgetMs = 60_000

/** Mounts them on `app`. */
export function mountDoors(app: FastifyInstance, options: DoorsOptions): Doors {
  const { name, primitives, identify, pool, log, metrics, databaseUrl, seesAll } = options
  const calls = new ToolCallLog(pool, log, () => metrics.callRowsDropped.inc())
  const bus = new ResourceBus({ databaseUrl, pool, log, ...(seesAll && { seesAll }) })
  const record = calls.record.bind(calls)
  const runTool = createToolRunner({ server: name, metrics, spend: spendIn(pool), record })
  completeChallenges(app, metadataUrlOf(options.resourceUrl))
  const mcp = mountMcp(app, { ...options, bus, runTool, record })
  metrics.expectTools(
    name,
    primitives.tools.map(({ contract }) => contract.name),
  )
  metrics.listenReconnects.inc({ channel: resourceChannel }, 0)
  bus.onMissed(() => {
    metrics.listenReconnects.inc({ channel: resourceChannel })
    mcp.dropStreams()
  })
  mountFacade(app, { tools: primitives.tools, identify, runTool })
  const document = describeApi(options)
  app.get('/openapi.json', async () => document)
  let forgetting: NodeJS.Timeout | undefined
  const forget = () =>
    forgetOldCalls(pool, options.callDays).catch((error: unknown) =>
      log.warn({ err: error }, 'old calls not deleted'),
    )

  return {
    start: async () => {
      calls.start()
      await bus.start()
      forgetting = setInterval(forget, forgetMs)
    },
    endStreams: () => mcp.endStreams(),
    stop: async () => {
      clearInterval(forgetting)
      await mcp.close()
      await bus.stop()
      await calls.stop()
    },
  }
}

/**
 * Every challenge for a token says where our metadata are (RFC 9728, 5.1), also the 403 of a missing
 * scope, on every route of `app`. Those of `/mcp` go past this hook and say so by themselves.
 */
function completeChallenges(app: FastifyInstance, metadataUrl: string): void {
  app.addHook('onSend', async (_request, reply) => {
    const challenge = reply.getHeader('www-authenticate')
    if (typeof challenge !== 'string' || !challenge.startsWith('Bearer ')) return
    reply.header('www-authenticate', `${challenge}, resource_metadata="${metadataUrl}"`)
  })
}

function describeApi({ name, version, resourceUrl, issuers, primitives, api }: DoorsOptions) {
  const { operations = [], schemas = {}, scopes = {} } = api ?? {}
  const metadataPath = new URL(metadataUrlOf(resourceUrl)).pathname
  const contracts = primitives.tools.map(({ contract }) => contract)
  return buildOpenApi({
    title: api?.title ?? `Baton: ${name}`,
    description: api?.description ?? 'Tools over plain HTTP and MCP, with the same checks.',
    version,
    serverUrl: resourceUrl,
    tokenUrl: new URL('/oauth/token', api?.issuesTokens ? resourceUrl : issuers[0]).href,
    operations: [...operations, ...doorOperations(contracts, metadataPath)],
    ...{ schemas, scopes },
  })
}
