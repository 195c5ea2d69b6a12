/**
 * `/mcp` on Fastify: who may speak to it from where, who asks, and how its streams end. What the
 * server behind it offers is its caller's.
 */
import type { ServerResponse } from 'node:http'
import { hostHeaderValidation, originValidation, toNodeHandler } from '@modelcontextprotocol/node'
import {
  type AuthInfo,
  createMcpHandler,
  type McpServerFactory,
  type ServerEventBus,
} from '@modelcontextprotocol/server'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { VerifiedToken } from './access-tokens.ts'
import { toWire, unavailable } from './errors.ts'
import type { Log } from './log.ts'
import { servedToken } from './resource-bus.ts'

export interface McpMount {
  /** Own base URL; requests may name its host, or loopback. */
  readonly resourceUrl: string
  /** Lets a request in, or answers it; `signal` aborts when whoever asked is gone. */
  readonly authorize: (request: FastifyRequest, signal: AbortSignal) => Promise<AuthInfo | Response>
  /** Called once for every request. */
  readonly createServer: McpServerFactory
  readonly bus?: ServerEventBus
  readonly log: Log
}

export interface MountedMcp {
  /** Ends the streams of listeners: they come back, and read again. */
  dropStreams(): void
  /** The same, and takes no new ones: they find another replica. */
  endStreams(): void
  /** Cuts off what still runs. */
  close(): Promise<void>
}

const loopbackHosts = ['localhost', '127.0.0.1', '[::1]']
/** A listener comes back with a fresh token; one stream lives no longer than the token, or this. */
const streamMsMax = 30 * 60_000
/** Less than a stream's end needs to reach a listener that has come with an old token. */
const streamMsMin = 1_000
/** For a listener that does not read: then it is cut off. */
const endMs = 1_000
const subscriptionsMax = 1_024
/** So that one client cannot take the streams of all. */
const streamsOfClientMax = 128
const retryAfterSeconds = 5

/** Mounts `/mcp`. Host and Origin are checked here only: probes reach other routes by address. */
export function mountMcpHandler(app: FastifyInstance, mount: McpMount): MountedMcp {
  const handler = createMcpHandler(mount.createServer, {
    ...(mount.bus === undefined ? {} : { bus: mount.bus }),
    maxSubscriptions: subscriptionsMax,
    onerror: (error) => mount.log.debug({ err: error }, 'mcp request refused'),
  })
  const serve = toNodeHandler(handler)
  const hosts = [...loopbackHosts, new URL(mount.resourceUrl).hostname]
  const hostAllowed = hostHeaderValidation(hosts)
  const originAllowed = originValidation(hosts)
  const streams = new Streams()

  app.all('/mcp', async (request, reply) => {
    reply.hijack()
    if (!hostAllowed(request.raw, reply.raw) || !originAllowed(request.raw, reply.raw)) return
    // Not a part of either protocol era, and a way around checks that look at one call.
    if (Array.isArray(request.body)) return sendResponse(reply, noBatches())
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const auth = await mount.authorize(request, gone.signal)
    if (auth instanceof Response) return sendResponse(reply, auth)
    if (isListen(request.body)) {
      // Gone meanwhile: its close, which would free the stream, does not come again.
      if (gone.signal.aborted) return
      if (streams.of(auth.clientId) >= streamsOfClientMax) {
        return sendResponse(reply, tooManyStreams())
      }
      if (!streams.take(reply.raw, auth)) {
        return sendResponse(reply, new Response(null, { status: 503 }))
      }
    }
    // The adapter's structural type wants exact optional properties that node:http does not promise.
    const raw = Object.assign(request.raw, { auth }) as Parameters<typeof serve>[0]
    const token = auth.extra?.token as VerifiedToken | undefined
    const answer = () => serve(raw, reply.raw, request.body)
    await (token === undefined ? answer() : servedToken.run(token, answer))
  })
  return {
    dropStreams: () => streams.drop(),
    endStreams: () => streams.end(),
    close: () => handler.close(),
  }
}

class Streams {
  /** Each with the client that it is of. */
  readonly #open = new Map<ServerResponse, string>()
  #ending = false

  /** How many streams of this client are open. */
  of(clientId: string): number {
    return this.#open.values().reduce((count, one) => count + (one === clientId ? 1 : 0), 0)
  }

  /** Sees to its end; false when none are taken any more. */
  take(raw: ServerResponse, { clientId, expiresAt = 0 }: AuthInfo): boolean {
    if (this.#ending) return false
    const leftMs = Math.min(streamMsMax, expiresAt * 1_000 - Date.now())
    const timer = setTimeout(() => endStream(raw), Math.max(streamMsMin, leftMs))
    this.#open.set(raw, clientId)
    // An event may still be written to a stream that is ending; nobody hears of it, and no harm.
    raw.on('error', () => {})
    raw.once('close', () => {
      clearTimeout(timer)
      this.#open.delete(raw)
    })
    return true
  }

  end(): void {
    this.#ending = true
    this.drop()
  }

  drop(): void {
    for (const raw of this.#open.keys()) endStream(raw)
  }
}

/** Ends it in order where that is possible: the one who reads sees an end, not a broken pipe. */
function endStream(raw: ServerResponse): void {
  if (!raw.headersSent) return void raw.destroy()
  raw.end()
  const timer = setTimeout(() => raw.destroy(), endMs)
  raw.once('close', () => clearTimeout(timer))
}

const isListen = (body: unknown): boolean =>
  (body as { method?: unknown } | undefined)?.method === 'subscriptions/listen'

const noBatches = () =>
  Response.json(
    { jsonrpc: '2.0', id: null, error: { code: -32_600, message: 'One message a request' } },
    { status: 400 },
  )

function tooManyStreams(): Response {
  const text = `One client has at most ${streamsOfClientMax} streams open here`
  const next = 'Watch more resources on one stream, or end one that is not needed.'
  const error = unavailable('too_many_streams', text, { next })
  const headers = { 'retry-after': String(retryAfterSeconds) }
  return Response.json(toWire(error), { status: 429, headers })
}

async function sendResponse(reply: FastifyReply, response: Response): Promise<void> {
  reply.raw.writeHead(response.status, Object.fromEntries(response.headers))
  reply.raw.end(await response.text())
}
