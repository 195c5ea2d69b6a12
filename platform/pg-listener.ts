/**
 * One LISTEN connection, reconnecting. Notifications are hints: those of a moment without connection
 * are lost, so whoever acts on them also looks by itself, or is told when they may be missing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Log } from './log.ts'

const reconnectMs = 500
const connectTimeoutMs = 5_000
/** Nothing is ever asked on it, so a server that is gone without a word shows by TCP alone. */
const keepAliveMs = 10_000

export class PgListener {
  readonly #options: PgListenerOptions
  readonly #stopping = new AbortController()
  #client: pg.Client | undefined

  constructor(options: PgListenerOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    await this.#connect()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#client?.end().catch(() => {})
  }

  async #connect(): Promise<void> {
    const { databaseUrl, channel, onNotification } = this.#options
    const client = new pg.Client({
      connectionString: databaseUrl,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveMs,
    })
    client.on('notification', ({ payload = '' }) => onNotification(payload))
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
    this.#options.log.warn({ err: error }, 'lost the event connection; connecting again')
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
      if (connected) return this.#options.onReconnected?.()
    }
  }
}

export interface PgListenerOptions {
  readonly databaseUrl: string
  /** An SQL identifier of ours, never of a caller. */
  readonly channel: string
  readonly log: Log
  /** Must not throw. */
  readonly onNotification: (payload: string) => void
  /** Notifications may have been missed. */
  readonly onReconnected?: () => void
}
