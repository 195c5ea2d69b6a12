/**
 * The carrier's book: every shipment, its postage and its refund. Memory first (so that of two buys
 * at once one is refused), then the journal, then the answer.
 *
 * A shipment waits in memory as one compact JSON text (about 0.5 KB) and a few numbers, 1 KB in all;
 * `SHIPMENTS_MAX` bounds the book to about 200 MB. A fresh data file starts a fresh book.
 */
import {
  type BookLine,
  bookLine,
  type Entry,
  newEntry,
  type RefundStatus,
  refundStatusOf,
  type Shipment,
  shipmentOf,
} from './book-entry.ts'
import { CarrierError, postageExists, unprocessable } from './errors.ts'
import { hexOfShipment, newHex, trackingCode } from './ids.ts'
import { Journal, type Replay } from './journal.ts'
import { type Service, serviceNamed } from './rates.ts'
import type { Facts } from './requests.ts'

const SHIPMENTS_MAX = 200_000

export interface BookOptions {
  readonly dataFile: string
  /** How long a refund stays `submitted` before the carrier grants it. */
  readonly refundDelayMs: number
  readonly now: () => number
}

export class Book {
  readonly #options: BookOptions
  readonly #entries: Entry[] = []
  readonly #indexByHex = new Map<string, number>()
  readonly #hexByTrackingCode = new Map<string, string>()
  #journal: Journal | undefined

  private constructor(options: BookOptions) {
    this.#options = options
  }

  /** Opens the book at `dataFile`, as the last process left it. */
  static async open(options: BookOptions): Promise<{ book: Book; replay: Replay }> {
    const book = new Book(options)
    const { journal, replay } = await Journal.open(options.dataFile, (entry) => book.#apply(entry))
    book.#journal = journal
    return { book, replay }
  }

  /** False when the file cannot be written any more: the process should be restarted. */
  get healthy(): boolean {
    return this.#journal?.healthy === true
  }

  get size(): number {
    return this.#entries.length
  }

  /** Everything told to callers must be in the file: reads wait for writes under way. */
  written(): Promise<void> {
    return this.#opened().written()
  }

  async close(): Promise<void> {
    await this.#journal?.close()
  }

  /** Adds a shipment. Repeating adds another: a `reference` is not unique at EasyPost either. */
  async create(facts: Facts): Promise<Shipment> {
    if (this.#entries.length >= SHIPMENTS_MAX) {
      throw new CarrierError(
        503,
        'STANDIN.BOOK.FULL',
        'The book is full: start with a new DATA_FILE.',
      )
    }
    const hex = newHex()
    const atMs = this.#options.now()
    const factsJson = JSON.stringify(facts)
    const entry = this.#add(hex, atMs, factsJson, facts.reference ?? null)
    await this.#opened().append(
      `{"event":"created","hex":"${hex}","atMs":${atMs},"facts":${factsJson}}`,
    )
    return this.#view(entry)
  }

  /** The shipment with this EasyPost id; undefined for ids of others. */
  find(shipmentId: string): Shipment | undefined {
    return this.findHex(hexOfShipment(shipmentId))
  }

  findHex(hex: string | undefined): Shipment | undefined {
    const entry = this.#entryOf(hex)
    return entry && this.#view(entry)
  }

  findTrackingCode(code: string): Shipment | undefined {
    return this.findHex(this.#hexByTrackingCode.get(code))
  }

  /**
   * Buys postage, once for ever.
   *
   * @throws CarrierError 422 SHIPMENT.POSTAGE.EXISTS when it has been bought, refunded or not.
   */
  async buy(hex: string, service: Service): Promise<Shipment> {
    const entry = this.#mustEntry(hex)
    if (entry.service !== undefined) {
      await this.written()
      throw postageExists()
    }
    const atMs = this.#options.now()
    this.#setBought(entry, service, atMs)
    await this.#append({ event: 'bought', hex, atMs, service: service.name })
    return this.#view(entry)
  }

  /**
   * Asks for the money back; granted later. Repeating changes nothing and tells how it stands.
   *
   * @throws CarrierError 422 SHIPMENT.REFUND.UNAVAILABLE when no postage was bought.
   */
  async refund(hex: string): Promise<Shipment> {
    const entry = this.#mustEntry(hex)
    if (entry.service === undefined) {
      throw unprocessable(
        'SHIPMENT.REFUND.UNAVAILABLE',
        'Unable to request refund. No postage has been bought for this shipment.',
      )
    }
    if (entry.refundAtMs === 0) {
      entry.refundAtMs = this.#options.now()
      await this.#append({ event: 'refund_submitted', hex, atMs: entry.refundAtMs })
    } else {
      await this.written()
    }
    return this.#view(entry)
  }

  /** Grants refunds now instead of after the delay; all of them unless `hex` names one. */
  async settleRefunds(hex?: string): Promise<number> {
    const atMs = this.#options.now()
    const one = hex === undefined ? undefined : this.#mustEntry(hex)
    const open = (one ? [one] : this.#entries).filter(
      (entry) => this.#refundStatus(entry) === 'submitted',
    )
    for (const entry of open) entry.settledAtMs = atMs
    await Promise.all(
      open.map((entry) => this.#append({ event: 'refunded', hex: entry.hex, atMs })),
    )
    return open.length
  }

  /**
   * A page, newest first.
   *
   * @returns undefined when `beforeId` or `afterId` names no shipment.
   */
  list(query: {
    beforeId: string | undefined
    afterId: string | undefined
    pageSize: number
    purchased: boolean
  }): { shipments: Shipment[]; hasMore: boolean } | undefined {
    const before = this.#position(query.beforeId, this.#entries.length)
    const after = this.#position(query.afterId, -1)
    if (before === undefined || after === undefined) return undefined
    const page: Entry[] = []
    for (let index = before - 1; index > after && page.length <= query.pageSize; index -= 1) {
      const entry = this.#entries[index]
      if (entry && (entry.service !== undefined || !query.purchased)) page.push(entry)
    }
    const hasMore = page.length > query.pageSize
    const shipments = page.slice(0, query.pageSize).map((entry) => this.#view(entry))
    return { shipments, hasMore }
  }

  /** Every shipment's reference and state, oldest first, without unpacking what it is made of. */
  *states(): Generator<{
    reference: string | null
    bought: boolean
    refundStatus: RefundStatus | null
  }> {
    for (const entry of this.#entries) {
      const { reference, service } = entry
      yield { reference, bought: service !== undefined, refundStatus: this.#refundStatus(entry) }
    }
  }

  #apply(input: unknown): void {
    const read = bookLine.parse(input)
    if (read.event === 'created') {
      const reference = read.facts.reference
      const factsJson = JSON.stringify(read.facts)
      this.#add(read.hex, read.atMs, factsJson, typeof reference === 'string' ? reference : null)
      return
    }
    const entry = this.#mustEntry(read.hex)
    if (read.event === 'refund_submitted') entry.refundAtMs = read.atMs
    else if (read.event === 'refunded') entry.settledAtMs = read.atMs
    else {
      const service = serviceNamed(read.service)
      if (service === undefined) throw new Error(`no such service: ${read.service}`)
      this.#setBought(entry, service, read.atMs)
    }
  }

  #add(hex: string, createdAtMs: number, factsJson: string, reference: string | null): Entry {
    const entry = newEntry(hex, createdAtMs, factsJson, reference)
    this.#indexByHex.set(hex, this.#entries.length)
    this.#entries.push(entry)
    return entry
  }

  #setBought(entry: Entry, service: Service, atMs: number): void {
    entry.service = service
    entry.boughtAtMs = atMs
    this.#hexByTrackingCode.set(trackingCode(entry.hex), entry.hex)
  }

  #append(entry: BookLine): Promise<void> {
    return this.#opened().append(JSON.stringify(entry))
  }

  #opened(): Journal {
    if (this.#journal === undefined) throw new Error('the book is still being read')
    return this.#journal
  }

  #entryOf(hex: string | undefined): Entry | undefined {
    const index = hex === undefined ? undefined : this.#indexByHex.get(hex)
    return index === undefined ? undefined : this.#entries[index]
  }

  #mustEntry(hex: string): Entry {
    const entry = this.#entryOf(hex)
    if (entry === undefined) throw new Error(`the book has no shipment ${hex}`)
    return entry
  }

  #position(shipmentId: string | undefined, fallback: number): number | undefined {
    if (shipmentId === undefined) return fallback
    return this.#indexByHex.get(hexOfShipment(shipmentId) ?? '')
  }

  #refundStatus(entry: Entry): RefundStatus | null {
    return refundStatusOf(entry, this.#options.refundDelayMs, this.#options.now())
  }

  #view(entry: Entry): Shipment {
    return shipmentOf(entry, this.#refundStatus(entry))
  }
}
