/**
 * Watches one resource of one MCP server. Notifications are hints that may be lost, so it reads the
 * resource whenever it begins to listen and after each hint; streams end every two minutes at most
 * (their token does, the process drains, its event connection broke), so it listens again and again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '@modelcontextprotocol/client'
import { type AppError, policy } from './errors.ts'
import type { Log } from './log.ts'
import type { Authorize } from './mcp-client.ts'
import { connect } from './mcp-connect.ts'
import { translate } from './mcp-errors.ts'
import { backoffMs, deadline } from './resilience.ts'
import { type ResourceContract, uriOf, type Variables } from './resource.ts'

const answerMs = 10_000
/** No token lives longer: a stream that does has lost its server without a word. */
const streamMsMax = 150_000
const listenMethod = 'subscriptions/listen'

export interface WatchOptions {
  readonly server: string
  readonly baseUrl: string
  /** Makes the token of each request. */
  readonly authorize: Authorize
  readonly contract: ResourceContract
  readonly variables: Variables
  /** Is given each value in turn, also one that it was given before; waited for before the next. */
  readonly onValue: (value: unknown) => void | Promise<void>
  /** Ends the watch. */
  readonly signal: AbortSignal
  readonly log: Log
  /** Between streams, with jitter. Default: 250 ms to 10 s; a stream that held starts anew. */
  readonly backoff?: { readonly backoffMinMs: number; readonly backoffMaxMs: number }
}

const defaultBackoff = { backoffMinMs: 250, backoffMaxMs: 10_000 }

/**
 * Resolves once `signal` has aborted and nothing of the watch is left.
 *
 * @throws denied, missing, invalid when the server refuses: listening again would not help.
 * @throws what `onValue` throws.
 */
export async function watchResource(options: WatchOptions): Promise<void> {
  const { server, baseUrl, signal, log, contract, variables } = options
  const backoff = { attemptsMax: Number.POSITIVE_INFINITY, ...(options.backoff ?? defaultBackoff) }
  const uri = uriOf(contract, variables)
  const capabilities = { resources: { subscribe: true } }
  const client = await connect({ server, baseUrl, capabilities, fetch: fetchAs(options) })
  let attempt = 0
  try {
    while (!signal.aborted) {
      const startedMs = performance.now()
      const why = await followOnce(client, uri, options)
      if (signal.aborted) return
      const held = performance.now() - startedMs > backoff.backoffMaxMs
      attempt = held ? 1 : attempt + 1
      log.debug({ server, resource: contract.uri, why, attempt }, 'listening again')
      await delay(backoffMs(backoff, attempt), undefined, { signal }).catch(() => {})
    }
  } finally {
    await client.close()
  }
}

/** One stream from its beginning to its end; says why it ended. */
async function followOnce(client: Client, uri: string, options: WatchOptions): Promise<string> {
  const { server, signal, log, contract } = options
  let changed = Promise.withResolvers<void>()
  let ended: string | undefined
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    if (params.uri === uri) changed.resolve()
  })
  const alive = deadline(streamMsMax, signal)
  try {
    const filter = { resourceSubscriptions: [uri] }
    const stream = await client.listen(filter, { timeout: answerMs, signal: alive })
    void stream.closed.then((why) => {
      ended = why
      changed.resolve()
    })
    try {
      while (ended === undefined) {
        // Before the read: what changes while it runs is read once more.
        changed = Promise.withResolvers<void>()
        const value = await readOnce(client, uri, alive)
        if (signal.aborted) break
        await handOver(options, value)
        await changed.promise
      }
    } finally {
      await stream.close()
    }
    return ended ?? 'local'
  } catch (cause) {
    if (signal.aborted) return 'local'
    if (cause instanceof CallersError) throw cause.cause
    return tellOrThrow(translate(server, cause), log, contract)
  }
}

function tellOrThrow(error: AppError, log: Log, { uri }: ResourceContract): string {
  if (!policy[error.kind].retry) throw error
  log.warn({ err: error, resource: uri }, 'watch interrupted')
  return error.code
}

async function readOnce(client: Client, uri: string, signal: AbortSignal): Promise<unknown> {
  const limits = { timeout: answerMs, maxTotalTimeout: answerMs, signal }
  const { contents } = await client.readResource({ uri }, { ...limits, cacheMode: 'bypass' })
  return JSON.parse((contents[0] as { text: string }).text)
}

/** What the one who watches threw; nothing of it is the server's. */
class CallersError extends Error {}

async function handOver({ onValue }: WatchOptions, value: unknown): Promise<void> {
  try {
    await onValue(value)
  } catch (cause) {
    throw new CallersError('onValue failed', { cause })
  }
}

/** A fresh token for every request, and a deadline for all but the stream, which `listen` has. */
function fetchAs({ authorize, contract, variables }: WatchOptions): typeof fetch {
  const { scope, bound } = contract
  const order = bound === 'order' && variables.orderId ? { orderId: variables.orderId } : {}
  return async (url, init) => {
    const headers = new Headers(init?.headers)
    headers.set('authorization', `Bearer ${await authorize({ scope, ...order })}`)
    if (headers.get('mcp-method') === listenMethod) return fetch(url, { ...init, headers })
    return fetch(url, { ...init, headers, signal: deadline(answerMs, init?.signal ?? undefined) })
  }
}
