/**
 * Tells those who wait that something happened to an order, whichever replica it happened on: one
 * LISTEN connection, reconnecting. Notifications are hints; who gets one reads the tables.
 */
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Log } from '../platform/log.ts'
import { channel, type EventType } from './order-events.ts'

const reconnectMs = 500
const connectTimeoutMs = 5_000
/** A waiter looks by itself this often, should a notification be lost with its connection. */
const pollMs = 1_000
const watchersMax = 10_000

type Listener = (type: string) => void

export class OrderWatch {
  readonly #databaseUrl: string
  readonly #log: Log
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #stopping = new AbortController()
  #client: pg.Client | undefined
  #watchers = 0

  constructor(databaseUrl: string, log: Log) {
    this.#databaseUrl = databaseUrl
    this.#log = log
  }

  /** True when no further watcher is allowed: streams are refused, waits fall back to asking. */
  get full(): boolean {
    return this.#watchers >= watchersMax
  }

  async start(): Promise<void> {
    await this.#connect()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#client?.end().catch(() => {})
  }

  /** Calls `listener` with the type of every event of the order. Returns how to end that. */
  subscribe(orderId: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(orderId) ?? new Set()
    this.#listeners.set(orderId, listeners.add(listener))
    this.#watchers += 1
    return () => {
      if (!listeners.delete(listener)) return
      this.#watchers -= 1
      if (listeners.size === 0 && this.#listeners.get(orderId) === listeners) {
        this.#listeners.delete(orderId)
      }
    }
  }

  /**
   * Looks until `look` returns something, at most until `signal` aborts; then undefined. Looks
   * after every event of the order, or of type `only`, and once a second anyway.
   */
  async until<T>(
    orderId: string,
    signal: AbortSignal,
    look: () => Promise<T | undefined>,
    only?: EventType,
  ): Promise<T | undefined> {
    let changed = Promise.withResolvers<void>()
    const unsubscribe = this.subscribe(orderId, (type) => {
      if (only === undefined || only === type) changed.resolve()
    })
    try {
      for (;;) {
        changed = Promise.withResolvers<void>()
        const seen = await look()
        if (seen !== undefined || signal.aborted) return seen
        await this.#next(changed.promise, signal)
      }
    } finally {
      unsubscribe()
    }
  }

  async #next(changed: Promise<void>, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const either = AbortSignal.any([signal, woken.signal])
    const poll = delay(pollMs, undefined, { signal: either }).catch(() => {})
    await Promise.race([changed, poll])
    woken.abort()
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#databaseUrl,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
    })
    client.on('notification', ({ payload = '' }) => {
      const [orderId = '', type = ''] = payload.split(' ')
      for (const listener of this.#listeners.get(orderId) ?? []) listener(type)
    })
    // One lost connection is told of twice; an error that nobody hears would end the process.
    client.on('error', (error) => this.#lost(client, error))
    try {
      await client.connect()
      await client.query(`listen ${channel}`)
    } catch (error) {
      void client.end().catch(() => {})
      throw error
    }
    this.#client = client
    if (this.#stopping.signal.aborted) await client.end()
  }

  #lost(client: pg.Client, error: Error): void {
    if (this.#client !== client) return
    this.#client = undefined
    this.#log.warn({ err: error }, 'lost the event connection; connecting again')
    void this.#reconnect()
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await delay(reconnectMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      const connected = await this.#connect().then(
        () => true,
        () => false,
      )
      if (connected) return
    }
  }
}
