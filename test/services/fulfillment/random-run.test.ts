import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type AppError, named } from '../../../platform/errors.ts'
import { readShipment } from '../../../services/fulfillment/label-store.ts'
import { buyLabel } from '../../../services/fulfillment/labels.ts'
import { type ShipmentKey, storeProposal } from '../../../services/fulfillment/proposal-store.ts'
import { type LabelDeps, undoLabel } from '../../../services/fulfillment/refunds.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { type Fault, type TestCarrier, testCarrier } from '../../support/test-carrier.ts'
import { waitFor } from '../../support/wait-for.ts'
import { carrierAt, home, offer, request } from './parcels.ts'

const runs = 60
const callsPerRun = 6
const timeoutMs = 60
const seedOfDay = Number(process.env.SEED ?? 20_261_120)

/** Mulberry32: the same seed gives the same run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

const faultKinds = [
  'status',
  'status_after_effect',
  'reset',
  'stall',
  'stall_after_effect',
] as const
const faultRoutes = ['create', 'buy', 'get', 'refund'] as const

describe('labels under random faults', () => {
  let db: TestDatabase
  let carrier: TestCarrier

  before(async () => {
    db = await testDatabase('services/fulfillment/migrations')
    carrier = await testCarrier()
  })
  after(async () => {
    await carrier[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })

  /** A process of its own; now and then one that dies at its purchase, answer unread. */
  const someProcess = (dies: boolean): { deps: LabelDeps; died: Promise<void> } => {
    const client = carrierAt(carrier.url, timeoutMs)
    const { promise: died, resolve: die } = Promise.withResolvers<void>()
    const buy: typeof client.buy = async (...args) => {
      await client.buy(...args).catch(() => {})
      die()
      return new Promise(() => {})
    }
    const deps = {
      pool: db,
      carrier: dies ? { ...client, buy } : client,
      purchaseMs: 4 * timeoutMs,
      voidWaitMs: 0,
    }
    return { deps, died }
  }

  async function propose(key: ShipmentKey): Promise<void> {
    const parcel = request()
    const proposal = offer('Ground', 1_036)
    await storeProposal(db, key, parcel, {
      by: 'rules',
      verdict: 'propose',
      proposal,
      international: false,
      weightGrams: 1_750,
      shipTo: home,
      offers: [proposal],
      findings: [],
      reasons: [],
      agent: null,
    })
  }

  /** Repeats an effect, as a workflow does, until it succeeds or is refused. */
  async function untilSettled(
    effect: (deps: LabelDeps, key: ShipmentKey) => Promise<unknown>,
    key: ShipmentKey,
  ): Promise<AppError | undefined> {
    const { error } = await waitFor(
      async () => {
        const error = await effect(someProcess(false).deps, key).then(() => undefined, named)
        if (error?.kind === 'unavailable') throw error
        return { error }
      },
      { what: `${effect.name} to settle` },
    )
    return error
  }

  it(`never pay twice, and never pay for what was voided (seed ${seedOfDay})`, async () => {
    for (let run = 0; run < runs; run++) {
      const random = randomFrom(seedOfDay + run)
      const key = { orderId: randomUUID(), round: 1 }
      const reference = `${key.orderId}:1`
      const pick = <T>(from: readonly T[]) => from[random(from.length)] as T
      await propose(key)
      for (let fault = random(4); fault > 0; fault--) {
        const kind: Fault['kind'] = pick(faultKinds)
        await carrier.fault({ route: pick(faultRoutes), kind, times: 1 + random(2) })
      }

      const mayVoid = random(2) === 0
      const calls = Array.from({ length: callsPerRun }, () => {
        const { deps, died } = someProcess(random(6) === 0)
        const effect = mayVoid && random(3) === 0 ? undoLabel : buyLabel
        // A process that died answers never.
        return Promise.race([effect(deps, key), died])
      })
      await Promise.allSettled(calls)
      await carrier.clearFaults()

      const what = `run ${run}`
      const voidLast = mayVoid && random(2) === 0
      if (voidLast) assert.equal(await untilSettled(undoLabel, key), undefined, what)
      const error = await untilSettled(buyLabel, key)
      const state = (await readShipment(db, key))?.state
      // A call that was voided late by its own undo, still on its way, settles with it.
      if (state === 'voided') await untilSettled(undoLabel, key)
      const { live, bought } = await carrier.book(reference)

      assert.ok(bought <= 1, `${what}: bought ${bought}`)
      assert.equal(error?.code, state === 'voided' ? 'label_voided' : undefined, what)
      assert.equal(state, error === undefined ? 'bought' : 'voided', what)
      assert.equal(live, state === 'voided' ? 0 : 1, what)
    }
  })
})
