/**
 * The last 200 requests, for tests to read. Keys are never written down, only how they were sent.
 *
 * Bodies are kept by reference and only up to 64 KB each, so the journal cannot grow beyond ~13 MB.
 */

import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Usage } from '@anthropic-ai/sdk/resources/messages'

const entriesMax = 200
const bodyBytesMax = 64 * 1024

type Outcome = 'in_flight' | 'answered' | 'cut' | 'client_gone'

export type JournalEntry = {
  readonly requestId: string
  readonly at: string
  readonly url: string
  readonly auth: 'bearer' | 'x-api-key' | 'none'
  readonly version: string | null
  readonly beta: string | null
  readonly traceparent: string | null
  outcome: Outcome
  durationMs: number | null
  status: number | null
  error: { readonly type: string; readonly message: string } | null
  model: string | null
  policy: string | null
  /** Who played; null while no personas are set. */
  persona: string | null
  turn: number | null
  fault: string | null
  stopReason: string | null
  usage: Usage | null
  /** The request as sent, without `mcp_servers` (they carry tokens); null when too big or unread. */
  request: Readonly<Record<string, unknown>> | null
}

export class Journal {
  #entries: JournalEntry[] = []
  #inFlight = 0
  #onIdle: (() => void)[] = []

  /** Opens an entry; it closes itself when the response ends, whichever way. */
  open(
    requestId: string,
    url: string,
    headers: IncomingHttpHeaders,
    response: ServerResponse,
  ): JournalEntry {
    const startedAt = performance.now()
    const entry: JournalEntry = {
      requestId,
      at: new Date().toISOString(),
      url,
      auth: authOf(headers),
      version: headerOf(headers, 'anthropic-version'),
      beta: headerOf(headers, 'anthropic-beta'),
      traceparent: headerOf(headers, 'traceparent'),
      outcome: 'in_flight',
      durationMs: null,
      status: null,
      error: null,
      model: null,
      policy: null,
      persona: null,
      turn: null,
      fault: null,
      stopReason: null,
      usage: null,
      request: null,
    }
    this.#entries.push(entry)
    if (this.#entries.length > entriesMax) this.#entries.shift()
    this.#inFlight += 1
    response.once('close', () => {
      this.#inFlight -= 1
      if (this.#inFlight === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
      entry.durationMs = performance.now() - startedAt
      entry.status = response.headersSent ? response.statusCode : null
      if (entry.outcome !== 'in_flight') return
      entry.outcome = response.writableFinished ? 'answered' : 'client_gone'
    })
    return entry
  }

  /** Oldest first. */
  entries(): readonly JournalEntry[] {
    return this.#entries
  }

  /** Requests whose response has not ended. */
  inFlight(): number {
    return this.#inFlight
  }

  /** Resolves when no request is in flight. Each of them ends by its own latency or stall limit. */
  async whenIdle(): Promise<void> {
    if (this.#inFlight === 0) return
    await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  clear(): void {
    this.#entries = []
  }
}

/** The body for the journal, without what may be secret; null when it is too big to keep. */
export function redactedBody(
  body: unknown,
  contentLength: string | undefined,
): JournalEntry['request'] {
  if (typeof body !== 'object' || body === null) return null
  if (contentLength === undefined || Number(contentLength) > bodyBytesMax) return null
  const { mcp_servers: _secret, ...rest } = body as Readonly<Record<string, unknown>>
  return rest
}

function authOf(headers: IncomingHttpHeaders): JournalEntry['auth'] {
  if (headers.authorization !== undefined) return 'bearer'
  return headers['x-api-key'] === undefined ? 'none' : 'x-api-key'
}

function headerOf(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' ? value : null
}
