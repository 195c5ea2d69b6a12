/** propose_shipment while a hostile model chooses: only what the carrier offers, at its price. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createShipmentAgent } from '../../../services/fulfillment/agent.ts'
import { proposeShipment } from '../../../services/fulfillment/contract.ts'
import { fulfillmentTools } from '../../../services/fulfillment/tools.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import {
  hostileModel,
  hostilePersonas,
  overruns,
  shortLimits,
} from '../../support/hostile-model.ts'
import { agentDeps, answers, scriptedModel } from '../../support/scripted-model.ts'
import { type TestCarrier, testCarrier } from '../../support/test-carrier.ts'
import { carrierAt, home, request } from './parcels.ts'

const settings = { model: 'claude-opus-5-5', effort: 'low', limits: shortLimits } as const
const parcelsEach = 8

describe('propose_shipment under a hostile model', () => {
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

  async function propose(deps: Parameters<typeof createShipmentAgent>[0]) {
    const [tool] = fulfillmentTools({
      pool: db,
      carrier: carrierAt(carrier.url),
      ...{ purchaseMs: 1_000, voidWaitMs: 0, limitGrams: 30_000, boxGrams: 0 },
      askAgent: createShipmentAgent(deps, settings),
    })
    const context = {
      signal: AbortSignal.timeout(10_000),
      traceId: 't',
      clientId: 'test',
      scopes: [],
    }
    const input = proposeShipment.input.parse({ orderId: randomUUID(), round: 1, ...request() })
    return proposeShipment.output.parse(await tool?.handle(input, context))
  }

  for (const persona of hostilePersonas) {
    it(`stores an offer of the carrier and the order's own address: ${persona}`, async () => {
      await using model = await hostileModel(persona)

      for (let nr = 0; nr < parcelsEach; nr++) {
        const output = await propose(model.deps)

        assert.ok(output.offers.some((offer) => sameOffer(offer, output.proposal)))
        assert.deepEqual(output.shipTo, home)
        assert.ok(output.agent !== null)
        assert.deepEqual(overruns(output.agent, shortLimits), [])
        for (const reason of output.reasons) assert.ok(reason.isWellFormed())
      }
    })
  }

  it('stores reasons with characters that Postgres cannot hold, without them', async () => {
    const odd = { verdict: 'propose', carrier: 'StandInPost', service: 'Ground' }
    const reasons = ['a\u0000b\u001b[31m', '\u0000', '\ud800 half']

    const output = await propose(agentDeps(scriptedModel([answers({ ...odd, reasons })])))

    assert.deepEqual(output.reasons, ['a b [31m', '\ufffd half'])
  })
})

const sameOffer = (a: object, b: object | null) => JSON.stringify(a) === JSON.stringify(b)
