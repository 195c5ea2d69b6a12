/**
 * Tells listeners on every replica that a resource changed: triggers notify in the transaction that
 * changed it, and each process listens. It is the event bus behind `subscriptions/listen`.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { z } from 'zod'
import type { VerifiedToken } from './access-tokens.ts'
import type { Pool } from './db.ts'
import type { Log } from './log.ts'
import { PgListener } from './pg-listener.ts'

export const resourceChannel = 'resource_updated'

/** With `clientId`, what changed is that client's alone, and nobody else may learn that it did. */
const payload = z.object({ uri: z.string(), clientId: z.string().optional() })

/** As the MCP SDK wants them; `resource_updated` is the only kind of ours. */
type BusEvent = { readonly kind: string; readonly uri?: string }
type Listener = (event: never) => void

/** Whose request is being served: a listener hears what this token may know of. */
export const servedToken = new AsyncLocalStorage<VerifiedToken>()

export class ResourceBus {
  readonly #pool: Pool
  readonly #log: Log
  readonly #listener: PgListener
  readonly #watchers = new Map<Listener, VerifiedToken | undefined>()
  readonly #seesAll: string | undefined
  #tellMissed: () => void = () => {}

  /** `seesAll` is the scope that may know of what changes for any client. */
  constructor(options: {
    readonly databaseUrl: string
    readonly pool: Pool
    readonly log: Log
    readonly seesAll?: string
  }) {
    this.#pool = options.pool
    this.#log = options.log
    this.#seesAll = options.seesAll
    this.#listener = new PgListener({
      databaseUrl: options.databaseUrl,
      channel: resourceChannel,
      log: options.log,
      onNotification: (text) => this.#deliver(text),
      onReconnected: () => this.#tellMissed(),
    })
  }

  start(): Promise<void> {
    return this.#listener.start()
  }

  stop(): Promise<void> {
    return this.#listener.stop()
  }

  /** `tell` is called when changes may have been missed: watchers must read again. */
  onMissed(tell: () => void): void {
    this.#tellMissed = tell
  }

  /** Tells every replica. A hint that is lost is no harm: readers re-read when they come back. */
  publish(event: BusEvent): void {
    this.#pool
      .query('select pg_notify($1, $2)', [resourceChannel, JSON.stringify({ uri: event.uri })])
      .catch((error: unknown) => this.#log.warn({ err: error }, 'change not published'))
  }

  /** Called by the MCP server while it serves the request of the one who wants to listen. */
  subscribe(listener: Listener): () => void {
    this.#watchers.set(listener, servedToken.getStore())
    return () => {
      this.#watchers.delete(listener)
    }
  }

  #deliver(text: string): void {
    const parsed = payload.safeParse(safeJson(text))
    if (!parsed.success) return
    const { uri, clientId } = parsed.data
    const event = { kind: 'resource_updated', uri } as never
    for (const [listener, token] of this.#watchers) {
      if (clientId === undefined || this.#mayKnow(token, clientId)) listener(event)
    }
  }

  #mayKnow(token: VerifiedToken | undefined, clientId: string): boolean {
    if (token?.clientId === clientId) return true
    return this.#seesAll !== undefined && token?.scopes.includes(this.#seesAll) === true
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
