import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { denied, rejected } from '../../../platform/errors.ts'
import type { CarrierClient } from '../../../services/fulfillment/carrier-client.ts'
import { readShipment } from '../../../services/fulfillment/label-store.ts'
import { buyLabel } from '../../../services/fulfillment/labels.ts'
import { type ShipmentKey, storeProposal } from '../../../services/fulfillment/proposal-store.ts'
import { type LabelDeps, undoLabel } from '../../../services/fulfillment/refunds.ts'
import type { Proposal } from '../../../services/fulfillment/shipment-rules.ts'
import { findShipment, labelDocument } from '../../../services/fulfillment/shipments.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { type TestCarrier, testCarrier } from '../../support/test-carrier.ts'
import { waitFor } from '../../support/wait-for.ts'
import { carrierAt, home, offer, request } from './parcels.ts'

const down = { kind: 'unavailable', code: 'carrier_unavailable' }
const voided = { kind: 'rejected', code: 'label_voided' }

describe('a label', () => {
  let db: TestDatabase
  let carrier: TestCarrier
  let key: ShipmentKey
  let reference: string

  before(async () => {
    db = await testDatabase('services/fulfillment/migrations')
    carrier = await testCarrier()
  })
  after(async () => {
    await carrier[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    key = { orderId: randomUUID(), round: 1 }
    reference = `${key.orderId}:1`
  })
  afterEach(() => carrier.clearFaults())

  /** A fresh process: its own client, so its own breaker and nothing in memory. */
  const process = (
    over: Partial<CarrierClient> = {},
    more: Partial<LabelDeps> = {},
  ): LabelDeps => ({
    pool: db,
    carrier: { ...carrierAt(carrier.url, 400), ...over },
    purchaseMs: 5_000,
    voidWaitMs: 5_000,
    ...more,
  })

  /** Stores that Ground is to be bought for `priceCents`; null stores that nothing is. */
  const propose = (priceCents: number | null = 1_036, street1 = home.street1) => {
    const parcel = request({ shipTo: { ...home, street1 } })
    const proposal = priceCents === null ? null : offer('Ground', priceCents)
    const answer: Proposal = {
      by: 'rules',
      verdict: 'propose',
      proposal,
      international: false,
      weightGrams: 1_750,
      shipTo: parcel.shipTo,
      offers: [],
      findings: [],
      reasons: [],
      agent: null,
    }
    return storeProposal(db, key, parcel, answer)
  }

  const stateOf = async () => (await readShipment(db, key))?.state
  const purchases = async () => {
    const { rows } = await db.query<{ count: number }>(
      `select buys_under_way as count from shipment where order_id = $1`,
      [key.orderId],
    )
    return rows[0]?.count
  }
  const totals = async () => {
    const { shipments, bought, live } = await carrier.book(reference)
    return { shipments, bought, live }
  }
  const refusedBecause = (results: readonly PromiseSettledResult<unknown>[]) =>
    results.flatMap((r) => (r.status === 'rejected' ? [(r.reason as { code: string }).code] : []))

  describe('bought once', () => {
    it('is the stored proposal, and a repeat returns the same', async () => {
      await propose()

      const first = await buyLabel(process(), key)
      const again = await buyLabel(process(), key)

      assert.equal(first.state, 'bought')
      assert.equal(first.label?.costCents, 1_036)
      assert.match(first.label?.trackingNumber ?? '', /^SAMPLE/)
      assert.deepEqual(again, first)
      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 1 })
    })

    it('is one label however many ask at once', async () => {
      await propose()
      const processes = [process(), process(), process()]

      const rows = await Promise.all(
        Array.from({ length: 20 }, (_, i) => buyLabel(processes[i % 3] ?? process(), key)),
      )

      assert.equal(new Set(rows.map((row) => row.label?.trackingNumber)).size, 1)
      const { bought, live } = await totals()
      assert.deepEqual({ bought, live }, { bought: 1, live: 1 })
    })

    it('is one label for each round', async () => {
      await propose()
      await buyLabel(process(), key)
      key = { ...key, round: 2 }
      await propose()

      await buyLabel(process(), key)

      assert.equal((await carrier.book(`${key.orderId}:2`)).bought, 1)
      assert.equal((await totals()).bought, 1)
    })

    it('is one label when the answer of the first creation was lost', async () => {
      await propose()
      await carrier.fault({ route: 'create', kind: 'reset' })

      await assert.rejects(buyLabel(process(), key), down)
      const row = await buyLabel(process(), key)

      assert.equal(row.state, 'bought')
      assert.deepEqual(await totals(), { shipments: 2, bought: 1, live: 1 })
    })

    for (const kind of ['status_after_effect', 'reset', 'stall_after_effect'] as const) {
      it(`is found again when the purchase ends in ${kind}`, async () => {
        await propose()
        await carrier.fault({ route: 'buy', kind })

        const row = await buyLabel(process(), key)

        assert.equal(row.state, 'bought')
        assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 1 })
      })
    }

    it('is found by the next call when the carrier goes away after selling it', async () => {
      await propose()
      await carrier.fault({ route: 'buy', kind: 'status_after_effect', status: 500 })
      await carrier.fault({ route: 'get', kind: 'status', status: 503, times: 3 })

      await assert.rejects(buyLabel(process(), key), down)
      assert.equal(await stateOf(), 'buying')
      const row = await buyLabel(process(), key)

      assert.equal(row.state, 'bought')
      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 1 })
    })

    it('is bought by the next call when the carrier did not sell it', async () => {
      await propose()
      await carrier.fault({ route: 'buy', kind: 'stall' })

      await assert.rejects(buyLabel(process(), key), down)
      assert.deepEqual(await totals(), { shipments: 1, bought: 0, live: 0 })
      await buyLabel(process(), key)

      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 1 })
    })

    it('is the same label for a process that wakes up after another has bought', async () => {
      await propose()
      const gate = Promise.withResolvers<void>()
      const asleep = Promise.withResolvers<void>()
      const client = carrierAt(carrier.url)
      const sleeper = process({
        createShipment: async (...args) => {
          const created = await client.createShipment(...args)
          asleep.resolve()
          await gate.promise
          return created
        },
      })

      const late = buyLabel(sleeper, key)
      await asleep.promise
      const first = await buyLabel(process(), key)
      gate.resolve()

      assert.deepEqual((await late).label, first.label)
      assert.deepEqual(await totals(), { shipments: 2, bought: 1, live: 1 })
    })
  })

  describe('not bought', () => {
    const nothing = { shipments: 0, bought: 0, live: 0 }

    it('is refused without a proposal', async () => {
      const noProposal = { kind: 'rejected', code: 'no_proposal' }

      await assert.rejects(buyLabel(process(), key), noProposal)
      await propose(null)
      await assert.rejects(buyLabel(process(), key), noProposal)

      assert.deepEqual(await totals(), nothing)
      assert.equal(await stateOf(), 'proposed')
    })

    it('is refused when the price rose above the proposal', async () => {
      await propose(1_035)

      await assert.rejects(buyLabel(process(), key), { kind: 'rejected', code: 'rate_changed' })
      await assert.rejects(buyLabel(process(), key), { kind: 'rejected', code: 'rate_changed' })

      assert.deepEqual(await totals(), { shipments: 1, bought: 0, live: 0 })
    })

    it('is bought for less when the price fell', async () => {
      await propose(2_000)

      assert.equal((await buyLabel(process(), key)).label?.costCents, 1_036)
    })

    it('is refused for good when the carrier refuses the address, and an undo does not wait', async () => {
      await propose(1_036, '1 REFUSED Road')

      await assert.rejects(buyLabel(process(), key), { kind: 'rejected', code: 'address_refused' })
      assert.equal(await undoLabel(process({}, { voidWaitMs: 0 }), key), 'none')

      assert.deepEqual(await totals(), { shipments: 1, bought: 0, live: 0 })
    })

    it('is refused for good although a purchase died long ago, and an undo does not wait', async () => {
      await propose()
      const client = carrierAt(carrier.url)
      const dying = process({ buy: () => new Promise(() => {}) }, { purchaseMs: 1 })
      void buyLabel(dying, key)
      await waitFor(async () => (await purchases()) === 1, { what: 'the purchase' })
      const refuse = () => client.buy('shp_unknown', 'rate_unknown')

      await assert.rejects(buyLabel(process({ buy: refuse }), key), { kind: 'missing' })
      assert.equal(await undoLabel(process({}, { voidWaitMs: 0 }), key), 'none')
    })

    it('is left to a later call when our key is refused', async () => {
      await propose()
      const refuse = async () => {
        throw denied('carrier_key_refused', 'No')
      }

      await assert.rejects(buyLabel(process({ buy: refuse }), key), { kind: 'denied' })
      assert.equal((await buyLabel(process(), key)).state, 'bought')
    })
  })

  describe('voided', () => {
    it('before it was asked for is refused when the request comes late', async () => {
      assert.equal(await undoLabel(process(), key), 'none')
      assert.equal(await undoLabel(process(), key), 'none')

      await assert.rejects(buyLabel(process(), key), voided)
      await assert.rejects(propose(), voided)
      assert.equal(await stateOf(), 'voided')
    })

    it('after the proposal costs nothing and is refused afterwards', async () => {
      await propose()

      assert.equal(await undoLabel(process(), key), 'none')

      await assert.rejects(buyLabel(process(), key), voided)
      assert.deepEqual(await totals(), { shipments: 0, bought: 0, live: 0 })
    })

    it('after it was bought is refunded, once', async () => {
      await propose()
      await buyLabel(process(), key)

      assert.equal(await undoLabel(process(), key), 'requested')
      const requestRefund = async (): Promise<never> => {
        throw new Error('asked again')
      }
      assert.equal(await undoLabel(process({ requestRefund }), key), 'requested')
      await assert.rejects(buyLabel(process(), key), voided)

      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 0 })
      await carrier.settleRefunds()
      assert.equal((await findShipment(process(), key)).refund, 'refunded')
      assert.equal(await undoLabel(process(), key), 'refunded')
    })

    it('while it is being bought is refunded', async () => {
      await propose()
      const client = carrierAt(carrier.url)
      const gate = Promise.withResolvers<void>()
      const buyer = process({
        buy: async (...args) => {
          await gate.promise
          return client.buy(...args)
        },
      })

      const buying = buyLabel(buyer, key)
      buying.catch(() => {})
      await waitFor(async () => (await readShipment(db, key))?.buyUnderWay, {
        what: 'the purchase',
      })
      const undoing = undoLabel(process(), key)
      await waitFor(async () => (await stateOf()) === 'voided', { what: 'the tombstone' })
      gate.resolve()

      await assert.rejects(buying, voided)
      assert.equal(await undoing, 'requested')
      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 0 })
    })

    it('between the shipment and its purchase is not bought', async () => {
      await propose()
      const client = carrierAt(carrier.url)
      const buyer = process({
        createShipment: async (...args) => {
          const created = await client.createShipment(...args)
          await undoLabel(process(), key)
          return created
        },
      })

      await assert.rejects(buyLabel(buyer, key), voided)
      assert.deepEqual(await totals(), { shipments: 1, bought: 0, live: 0 })
    })

    it('between a look at the shipment and its purchase is not bought', async () => {
      await propose()
      await carrier.fault({ route: 'buy', kind: 'status', status: 503 })
      await assert.rejects(buyLabel(process(), key), down)
      const client = carrierAt(carrier.url)
      const buyer = process({
        getShipment: async (id) => {
          const seen = await client.getShipment(id)
          await undoLabel(process({}, { voidWaitMs: 0 }), key).catch(() => {})
          return seen
        },
      })

      await assert.rejects(buyLabel(buyer, key), voided)
      assert.deepEqual(await totals(), { shipments: 1, bought: 0, live: 0 })
    })

    it('by an undo that gave up waiting is refunded by its buyer', async () => {
      await propose()
      const client = carrierAt(carrier.url)
      const buyer = process({
        buy: async (...args) => {
          await assert.rejects(undoLabel(process({}, { voidWaitMs: 0 }), key), {
            code: 'purchase_under_way',
          })
          return client.buy(...args)
        },
      })

      await assert.rejects(buyLabel(buyer, key), voided)
      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 0 })
      assert.equal((await findShipment(process(), key)).refund, 'requested')
    })

    it('while its buyer died is refunded once the carrier has sold it', async () => {
      await propose()
      const client = carrierAt(carrier.url)
      let sell: () => Promise<unknown> = async () => {}
      const dying = process({
        buy: (...args) => {
          sell = () => client.buy(...args)
          return new Promise(() => {})
        },
      })
      void buyLabel(dying, key)
      await waitFor(async () => (await readShipment(db, key))?.buyUnderWay, {
        what: 'the purchase',
      })

      await assert.rejects(undoLabel(process({}, { voidWaitMs: 0 }), key), {
        kind: 'unavailable',
        code: 'purchase_under_way',
      })
      await sell()

      assert.equal(await undoLabel(process(), key), 'requested')
      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 0 })
    })

    it('is settled without a label when a purchase that died is long over', async () => {
      await propose()
      const dying = process({ buy: () => new Promise(() => {}) }, { purchaseMs: 1 })
      void buyLabel(dying, key)
      await waitFor(async () => (await readShipment(db, key))?.carrierShipmentId, {
        what: 'the shipment',
      })

      assert.equal(await undoLabel(process(), key), 'none')
      assert.deepEqual(await totals(), { shipments: 1, bought: 0, live: 0 })
    })

    it('is refunded when the carrier had sold it without our knowing', async () => {
      await propose()
      await carrier.fault({ route: 'buy', kind: 'status_after_effect', status: 500 })
      await carrier.fault({ route: 'get', kind: 'status', status: 503, times: 3 })
      await assert.rejects(buyLabel(process(), key), down)

      assert.equal(await undoLabel(process(), key), 'requested')
      assert.deepEqual(await totals(), { shipments: 1, bought: 1, live: 0 })
    })

    it('stays voided when the carrier is away, and is refunded later', async () => {
      await propose()
      await buyLabel(process(), key)
      await carrier.fault({ route: 'refund', kind: 'status', status: 503 })

      await assert.rejects(undoLabel(process(), key), down)
      await assert.rejects(buyLabel(process(), key), voided)
      assert.equal(await undoLabel(process(), key), 'requested')

      assert.equal((await totals()).live, 0)
    })

    it('is marked when the carrier refuses to refund it', async () => {
      await propose()
      await buyLabel(process(), key)
      const requestRefund = async () => {
        throw rejected('refund_refused', 'Too late')
      }

      assert.equal(await undoLabel(process({ requestRefund }), key), 'refused')
      assert.equal((await findShipment(process(), key)).refund, 'refused')
    })

    it('by many while many buy ends voided, with nothing left to pay', async () => {
      for (let time = 0; time < 5; time++) {
        key = { orderId: randomUUID(), round: 1 }
        reference = `${key.orderId}:1`
        await propose()

        const calls = Array.from({ length: 12 }, (_, i) =>
          i % 3 === 2 ? undoLabel(process(), key) : buyLabel(process(), key),
        )
        const codes = refusedBecause(await Promise.allSettled(calls))

        assert.ok(
          codes.every((code) => code === 'label_voided'),
          codes.join(),
        )
        assert.equal(await stateOf(), 'voided')
        assert.equal((await totals()).live, 0)
      }
    })
  })

  describe('as a document', () => {
    it('is fetched once and kept', async () => {
      await propose()
      const row = await buyLabel(process(), key)

      const pdf = await labelDocument(process(), key, row)
      const noCarrier = async (): Promise<never> => {
        throw new Error('asked again')
      }
      const again = await labelDocument(process({ downloadLabel: noCarrier }), key, row)

      assert.equal(pdf?.toString('latin1', 0, 5), '%PDF-')
      assert.deepEqual(again, pdf)
    })

    it('is not handed out once voided', async () => {
      await propose()
      await labelDocument(process(), key, await buyLabel(process(), key))
      await undoLabel(process(), key)

      const row = await findShipment(process(), key)

      assert.equal(row.label?.costCents, 1_036)
      assert.equal(await labelDocument(process(), key, row), null)
    })
  })

  it('of an unknown order is missing', async () => {
    await assert.rejects(findShipment(process(), key), { kind: 'missing', code: 'no_shipment' })
  })

  describe('in the database', () => {
    const refuses = (set: string, constraint: string) =>
      assert.rejects(
        db.query(`update shipment set ${set} where order_id = $1`, [key.orderId]),
        { constraint },
        set,
      )

    it('cannot be bought without a choice, a shipment or a label', async () => {
      await propose(null)
      await refuses(`state = 'buying'`, 'only_a_choice_is_bought')
      key = { orderId: randomUUID(), round: 1 }
      await propose()
      await refuses(`bought_at = now()`, 'label_is_whole')
      await refuses(`state = 'bought'`, 'label_belongs_to_bought')
      await refuses(`carrier_shipment_id = 'shp_1'`, 'carrier_shipment_belongs_to_buying')
      await refuses(`carrier = null`, 'choice_is_whole')
      await refuses(`answer = null`, 'answered_unless_tombstone')
      await refuses(`buys_under_way = 1`, 'buy_belongs_to_carrier_shipment')
    })

    it('cannot be refunded, unvoided or replaced', async () => {
      await propose()
      await buyLabel(process(), key)
      await refuses(`refund = 'requested'`, 'refund_belongs_to_voided_label')
      await refuses(`state = 'voided'`, 'voided_has_a_time')
      await refuses(`carrier_rate_id = null`, 'label_is_whole')
      await refuses(`state = 'buying'`, 'label_belongs_to_bought')
      await undoLabel(process(), key)
      await refuses(`state = 'bought'`, 'refund_belongs_to_voided_label')
    })
  })
})
