/**
 * Tells those who wait that something happened to an order, whichever replica it happened on.
 * Notifications are hints; who gets one reads the tables.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../platform/log.ts'
import { PgListener } from '../platform/pg-listener.ts'
import { channel, type EventType } from './order-events.ts'

/** A waiter looks by itself this often, should a notification be lost with its connection. */
const pollMs = 1_000
const watchersMax = 10_000

type Listener = (type: string) => void

export class OrderWatch {
  readonly #listener: PgListener
  readonly #listeners = new Map<string, Set<Listener>>()
  #watchers = 0

  /** `onReconnected`: notifications may have been missed; those who wait look by themselves. */
  constructor(databaseUrl: string, log: Log, onReconnected: () => void = () => {}) {
    this.#listener = new PgListener({
      databaseUrl,
      channel,
      log,
      onNotification: (payload) => {
        const [orderId = '', type = ''] = payload.split(' ')
        for (const listener of this.#listeners.get(orderId) ?? []) listener(type)
      },
      onReconnected,
    })
  }

  /** True when no further stream is let in. */
  get full(): boolean {
    return this.#watchers >= watchersMax
  }

  /** Those who watch now. */
  get watchers(): number {
    return this.#watchers
  }

  async start(): Promise<void> {
    await this.#listener.start()
  }

  async stop(): Promise<void> {
    await this.#listener.stop()
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
}
