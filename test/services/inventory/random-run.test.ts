import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import {
  commitStock,
  holdStock,
  releaseStock,
} from '../../../services/inventory/reservation-store.ts'
import { type Line, mergeLines } from '../../../services/inventory/stock-rules.ts'
import { setStock } from '../../../services/inventory/stock-store.ts'
import { testDatabase } from '../../support/database.ts'
import { assertBooksBalance, resetStock, unitsOf } from './stock-of.ts'

const operationsMax = 500
const seed = 20_261_120
const skus = ['cup', 'mug', 'plate', 'jug']
const firstUnits = { cup: 10, mug: 3, plate: 25, jug: 0 }

interface Operation {
  readonly kind: 'hold' | 'release' | 'commit' | 'set'
  readonly orderId: string
  readonly requestId: string
  readonly lines: readonly Line[]
}

/** A small generator with a seed (mulberry32), so that a failure can be run again. */
function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function randomOperations(): Operation[] {
  const random = randomFrom(seed)
  const below = (max: number) => Math.floor(random() * max)
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T
  // Few orders and requests, so that repeats and late calls are common.
  const orderIds = Array.from({ length: 60 }, () => randomUUID())
  const requestIds = Array.from({ length: 40 }, () => randomUUID())
  const kinds = ['hold', 'hold', 'hold', 'release', 'commit', 'set'] as const

  return Array.from({ length: operationsMax }, () => ({
    kind: pick(kinds),
    orderId: pick(orderIds),
    requestId: pick(requestIds),
    lines: Array.from({ length: 1 + below(3) }, () => ({
      sku: pick(skus),
      quantity: 1 + below(4),
    })),
  }))
}

/** What the tables mean, without a database: the code of the refusal, or undefined. */
class ReferenceStock {
  readonly available = new Map<string, number>(Object.entries(firstUnits))
  readonly #orders = new Map<string, { state: string; lines: readonly Line[] }>()
  readonly #requests = new Map<string, string>()

  run(operation: Operation): string | undefined {
    return this[operation.kind](operation)
  }

  hold({ orderId, lines: wanted }: Operation): string | undefined {
    const lines = mergeLines(wanted)
    const order = this.#orders.get(orderId)
    if (order?.state === 'released') return 'reservation_released'
    if (order !== undefined) {
      return JSON.stringify(order.lines) === JSON.stringify(lines)
        ? undefined
        : 'reservation_changed'
    }
    if (lines.some(({ sku, quantity }) => this.#units(sku) < quantity)) return 'out_of_stock'
    for (const { sku, quantity } of lines) this.available.set(sku, this.#units(sku) - quantity)
    this.#orders.set(orderId, { state: 'held', lines })
    return undefined
  }

  release({ orderId }: Operation): string | undefined {
    const order = this.#orders.get(orderId) ?? { state: 'none', lines: [] }
    if (order.state === 'committed') return 'already_committed'
    if (order.state === 'held') {
      for (const { sku, quantity } of order.lines) {
        this.available.set(sku, this.#units(sku) + quantity)
      }
    }
    this.#orders.set(orderId, { ...order, state: 'released' })
    return undefined
  }

  commit({ orderId }: Operation): string | undefined {
    const order = this.#orders.get(orderId)
    if (order === undefined || order.state === 'released') return 'not_reserved'
    this.#orders.set(orderId, { ...order, state: 'committed' })
    return undefined
  }

  set({ requestId, lines }: Operation): string | undefined {
    const [line] = lines as [Line]
    const first = this.#requests.get(requestId)
    const content = `${line.sku} ${line.quantity}`
    if (first !== undefined) return first === content ? undefined : 'request_changed'
    this.#requests.set(requestId, content)
    this.available.set(line.sku, line.quantity)
    return undefined
  }

  #units(sku: string): number {
    return this.available.get(sku) ?? 0
  }
}

describe(`${operationsMax} random operations`, () => {
  let db: Awaited<ReturnType<typeof testDatabase>>

  before(async () => {
    db = await testDatabase('services/inventory/migrations')
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(() => resetStock(db, firstUnits))

  /** The code of the refusal, or undefined; whatever is not a refusal is thrown. */
  async function run({ kind, orderId, requestId, lines }: Operation): Promise<string | undefined> {
    const key = { orderId, round: 1 }
    const [{ sku, quantity: available }] = lines as [Line]
    const count = { requestId, sku, available, reason: 'Counted', clientId: 'operator' }
    const calls = {
      hold: () => holdStock(db, key, lines),
      release: () => releaseStock(db, key),
      commit: () => commitStock(db, key),
      set: () => setStock(db, count),
    }
    try {
      await calls[kind]()
      return undefined
    } catch (error) {
      const refusal = error as { kind?: string; code?: string }
      if (refusal.kind !== 'rejected') throw error
      return refusal.code
    }
  }

  it('end exactly as a model of the rules says, one by one', async () => {
    const reference = new ReferenceStock()
    const seen = new Set<string | undefined>()

    for (const [i, operation] of randomOperations().entries()) {
      const code = await run(operation)
      assert.equal(code, reference.run(operation), `operation ${i}: ${operation.kind}`)
      seen.add(code)
    }

    assert.equal(seen.size, 7, `every refusal came up: ${[...seen]}`)
    for (const sku of skus) {
      assert.equal((await unitsOf(db, sku))?.available, reference.available.get(sku), sku)
    }
    await assertBooksBalance(db)
  })

  it('leave the books balanced when ten run at a time', async () => {
    const operations = randomOperations()

    while (operations.length > 0) await Promise.all(operations.splice(0, 10).map(run))

    await assertBooksBalance(db)
  })
})
