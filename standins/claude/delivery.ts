/**
 * How an answer leaves the server: at once or after a latency, whole, streamed, cut or stalled.
 *
 * Answers are written to the socket directly. Every wait ends when the client hangs up.
 */

import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Message } from '@anthropic-ai/sdk/resources/messages'
import type { Fault } from './faults.ts'
import { errorEventText, streamText } from './stream-events.ts'

/** A stall without anyone hanging up ends here, with the connection. */
const stallMsMax = 15 * 60_000
/** Slow enough to outlast every deadline, quick enough that no idle connection is suspected. */
const dribbleMs = 100
const ping = 'event: ping\ndata: {"type":"ping"}\n\n'

export type Delivery = {
  readonly message: Message
  readonly stream: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly latencyMs: number
  readonly fault: Fault['kind'] | undefined
  /** The body of a mid-stream error event. */
  readonly streamError: unknown
  /** Called when the first byte is about to leave. */
  readonly onStart: () => void
}

/** `cut`: a fault ended the connection. `left`: the client did, before the answer was complete. */
export type DeliveryEnd = 'sent' | 'cut' | 'left'

export class Courier {
  readonly #stalled = new Set<ServerResponse>()

  /** Sends one message. Resolves when everything was handed to the socket; never rejects. */
  async deliver(response: ServerResponse, delivery: Delivery): Promise<DeliveryEnd> {
    return delivery.stream ? this.#stream(response, delivery) : this.#whole(response, delivery)
  }

  /** Ends every stalled connection, so that a closing server does not wait for them. */
  dropStalled(): void {
    for (const response of this.#stalled) response.destroy()
  }

  async #whole(response: ServerResponse, delivery: Delivery): Promise<DeliveryEnd> {
    if (delivery.latencyMs > 0 && !(await wait(response, delivery.latencyMs))) return 'left'
    if (delivery.fault === 'stall' || delivery.fault === 'dribble') return this.#stall(response)
    delivery.onStart()
    const body = JSON.stringify(delivery.message)
    const length = Buffer.byteLength(body)
    response.writeHead(200, {
      ...delivery.headers,
      'content-type': 'application/json',
      'content-length': length,
    })
    // The promised length is never reached, so the client cannot take the half for the whole.
    if (delivery.fault === 'cut_stream') return cut(response, body.slice(0, body.length / 2))
    response.end(body)
    return 'sent'
  }

  /** Half of the latency passes before the first byte, half before the last events. */
  async #stream(response: ServerResponse, delivery: Delivery): Promise<DeliveryEnd> {
    const pauseMs = delivery.latencyMs / 2
    if (pauseMs > 0 && !(await wait(response, pauseMs))) return 'left'
    delivery.onStart()
    const { opening, closing } = streamText(delivery.message)
    response.writeHead(200, {
      ...delivery.headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
    })
    switch (delivery.fault) {
      case 'stall':
        response.write(firstEvent(opening))
        return this.#stall(response)
      case 'dribble':
        return this.#dribble(response, opening)
      case 'cut_stream':
        return cut(response, opening)
      case 'stream_error':
        response.end(firstEvent(opening) + errorEventText(delivery.streamError))
        return 'sent'
      default:
    }
    if (pauseMs === 0) {
      response.end(opening + closing)
      return 'sent'
    }
    response.write(opening)
    if (!(await wait(response, pauseMs))) return 'left'
    response.end(closing)
    return 'sent'
  }

  /** The content in drips, then pings, and never an end. */
  async #dribble(response: ServerResponse, opening: string): Promise<DeliveryEnd> {
    this.#stalled.add(response)
    const events = opening.split(/(?<=\n\n)/)
    const until = performance.now() + stallMsMax
    do response.write(events.shift() ?? ping)
    while (performance.now() < until && (await wait(response, dribbleMs)))
    this.#stalled.delete(response)
    if (response.destroyed) return 'left'
    response.destroy()
    return 'cut'
  }

  async #stall(response: ServerResponse): Promise<DeliveryEnd> {
    this.#stalled.add(response)
    const stayed = await wait(response, stallMsMax)
    this.#stalled.delete(response)
    if (!stayed) return 'left'
    response.destroy()
    return 'cut'
  }
}

/** Writes a part, and hangs up once it is out. */
async function cut(response: ServerResponse, part: string): Promise<DeliveryEnd> {
  await new Promise((resolve) => response.write(part, resolve))
  response.destroy()
  return 'cut'
}

/** Waits; false when the client hung up first. */
async function wait(response: ServerResponse, ms: number): Promise<boolean> {
  if (response.destroyed) return false
  const gone = new AbortController()
  const onClose = () => gone.abort()
  response.once('close', onClose)
  const stayed = await delay(ms, true, { signal: gone.signal }).catch(() => false)
  response.off('close', onClose)
  return stayed
}

function firstEvent(text: string): string {
  return text.slice(0, text.indexOf('\n\n') + 2)
}
