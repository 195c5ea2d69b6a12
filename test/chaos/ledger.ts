/**
 * The clients: they send orders with idempotency keys, try again on the other orchestrator when one
 * is gone, and write down every answer they were given. What they were told must turn out true.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

export interface Answer {
  readonly http: number
  readonly orderId: string
  readonly round: number
  readonly status: string
  readonly code: string | undefined
  readonly trackingNumber: string | undefined
}

export interface Entry {
  readonly key: string
  readonly kind: string
  readonly traceId: string
  readonly body: object
  readonly answers: Answer[]
  /** HTTP status of the cancel that was asked for; 202 is a promise. */
  cancel?: number
}

export interface Submission {
  readonly kind: string
  readonly body: object
  /** Asks for a cancel once the order is known. */
  readonly cancels?: boolean
  /** The orchestrator asked first; any by default. */
  readonly first?: number
  readonly async?: boolean
  /** Seconds the answer is waited for. Default 2. */
  readonly waitSeconds?: number
}

const attemptsMax = 120
const attemptMs = 20_000
const pauseMs = 250
const pauseMsMax = 5_000

export interface LedgerOptions {
  /** 1: a client that does not try again. */
  readonly attemptsMax?: number
  /** Sees the whole of every answer. */
  readonly onAnswer?: (orderId: string, body: unknown) => void
}

export class Ledger {
  readonly entries: Entry[] = []
  /** Answers that no client should ever get. */
  readonly oddities: string[] = []
  /** How often each kind of trouble was met and overcome. */
  readonly troubles = new Map<string, number>()
  readonly #fronts: readonly string[]
  readonly #attemptsMax: number
  readonly #onAnswer: NonNullable<LedgerOptions['onAnswer']>
  readonly #underWay = new Set<Promise<void>>()
  #turn = 0

  constructor(fronts: readonly string[], options: LedgerOptions = {}) {
    this.#fronts = fronts
    this.#attemptsMax = options.attemptsMax ?? attemptsMax
    this.#onAnswer = options.onAnswer ?? (() => {})
  }

  /** Sends one order until it is answered; the entry is in the ledger at once. */
  submit(submission: Submission): { entry: Entry; answered: Promise<void> } {
    const { kind, body } = submission
    const entry: Entry = {
      ...{ kind, body, answers: [] },
      key: randomUUID(),
      traceId: randomBytes(16).toString('hex'),
    }
    this.entries.push(entry)
    const answered = this.#send(entry, submission)
    this.#underWay.add(answered)
    void answered.finally(() => this.#underWay.delete(answered))
    return { entry, answered }
  }

  /** Resolves once every client has its answer, or has given up. */
  async answered(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }

  async #send(entry: Entry, submission: Submission): Promise<void> {
    const { waitSeconds = 2 } = submission
    const prefer = submission.async ? 'respond-async' : `wait=${waitSeconds}`
    const turn = submission.first ?? this.#turn++
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': entry.key,
      traceparent: `00-${entry.traceId}-${randomBytes(8).toString('hex')}-01`,
      prefer: submission.cancels ? 'wait=0' : prefer,
    }
    const request = { method: 'POST', headers, body: JSON.stringify(entry.body) }
    const answer = await this.#insist(entry, turn, '/orchestrate', request)
    if (answer === undefined || !submission.cancels) return
    const path = `/orders/${answer.orderId}/cancel`
    const cancel = await this.#insist(entry, turn, path, { method: 'POST' })
    entry.cancel = cancel?.http ?? 0
  }

  /** Until there is an answer of substance: 200, 202, or 409 to a cancel. */
  async #insist(
    entry: Entry,
    turn: number,
    path: string,
    init: RequestInit,
  ): Promise<Answer | undefined> {
    for (let attempt = 0; attempt < this.#attemptsMax; attempt++) {
      const front = this.#fronts[(turn + attempt) % this.#fronts.length]
      const said = await ask(`${front}${path}`, init)
      if (said.answer !== undefined) {
        entry.answers.push(said.answer)
        this.#onAnswer(said.answer.orderId, said.body)
      }
      if (said.http === 200 || said.http === 202) return said.answer
      if (said.http === 409) return { ...noAnswer, http: 409 }
      this.#note(said.trouble)
      const isOdd = said.http >= 400 && said.http !== 429 && said.http !== 503
      if (isOdd) this.oddities.push(`${path} of ${entry.kind} ${entry.key}: ${said.trouble}`)
      if (isOdd && said.http < 500) return undefined
      await delay(Math.min(pauseMsMax, said.retryAfterMs ?? pauseMs))
    }
    this.oddities.push(
      `${path} of ${entry.kind} ${entry.key}: no answer in ${this.#attemptsMax} attempts`,
    )
    return undefined
  }

  #note(trouble: string): void {
    const kind = trouble.replace(/[0-9a-f-]{36}/g, '…').slice(0, 80)
    this.troubles.set(kind, (this.troubles.get(kind) ?? 0) + 1)
  }
}

const noAnswer: Answer = {
  ...{ http: 0, orderId: '', round: 0, status: '' },
  ...{ code: undefined, trackingNumber: undefined },
}

interface Said {
  readonly http: number
  readonly answer?: Answer
  readonly body?: unknown
  readonly trouble: string
  readonly retryAfterMs?: number
}

async function ask(url: string, init: RequestInit): Promise<Said> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(attemptMs) })
    const http = response.status
    // biome-ignore lint/suspicious/noExplicitAny: read by field
    const body = (await response.json()) as any
    if (http < 300) return { http, answer: toAnswer(http, body), body, trouble: '' }
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    const after = Number.isNaN(seconds) ? {} : { retryAfterMs: seconds * 1_000 }
    return { http, trouble: `${http} ${body.code}`, ...after }
  } catch (error) {
    const { cause, name } = error as { cause?: { code?: string }; name: string }
    return { http: 0, trouble: cause?.code ?? name }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: read by field
const toAnswer = (http: number, body: any): Answer => ({
  http,
  orderId: body.orderId,
  round: body.round,
  status: body.status,
  code: body.code,
  trackingNumber: body.label?.trackingNumber,
})
