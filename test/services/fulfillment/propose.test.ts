import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { defaultLimits } from '../../../platform/agent-types.ts'
import { unavailable } from '../../../platform/errors.ts'
import { toModelSchema } from '../../../platform/model.ts'
import { createShipmentAgent, shipmentVerdict } from '../../../services/fulfillment/agent.ts'
import { proposeShipment } from '../../../services/fulfillment/contract.ts'
import { readShipment } from '../../../services/fulfillment/label-store.ts'
import { quoteShipment } from '../../../services/fulfillment/propose.ts'
import { undoLabel } from '../../../services/fulfillment/refunds.ts'
import type { ShipmentRequest } from '../../../services/fulfillment/shipment-rules.ts'
import { fulfillmentTools } from '../../../services/fulfillment/tools.ts'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import {
  agentDeps,
  answers,
  callsTools,
  type ScriptedTurn,
  scriptedModel,
  toolResults,
  turn,
} from '../../support/scripted-model.ts'
import { type TestCarrier, testCarrier } from '../../support/test-carrier.ts'
import { abroad, carrierAt, home, line, request } from './parcels.ts'

describe('propose_shipment', () => {
  let db: TestDatabase
  let carrier: TestCarrier
  let orderId: string

  before(async () => {
    db = await testDatabase('services/fulfillment/migrations')
    carrier = await testCarrier()
  })
  after(async () => {
    await carrier[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })
  beforeEach(() => {
    orderId = randomUUID()
  })
  afterEach(() => carrier.clearFaults())

  const settings = { model: 'claude-opus-5-5', effort: 'medium', limits: defaultLimits } as const
  const labelDeps = () => ({
    pool: db,
    carrier: carrierAt(carrier.url),
    purchaseMs: 1_000,
    voidWaitMs: 0,
  })

  /** Calls the tool for a parcel while the model says `turns`. */
  async function propose(more: Partial<ShipmentRequest>, turns: readonly ScriptedTurn[]) {
    const model = scriptedModel(turns)
    const [tool] = fulfillmentTools({
      ...labelDeps(),
      askAgent: createShipmentAgent(agentDeps(model), settings),
      limitGrams: 30_000,
      boxGrams: 0,
    })
    const context = {
      signal: AbortSignal.timeout(10_000),
      traceId: 'trace',
      clientId: 'test',
      scopes: [],
    }
    const input = proposeShipment.input.parse({ orderId, round: 1, ...request(more) })
    const output = proposeShipment.output.parse(await tool?.handle(input, context))
    return { output, requests: model.requests }
  }

  const chooses = (service: string | null, verdict = 'propose', carrierName = 'StandInPost') =>
    answers({
      verdict,
      carrier: service === null ? null : carrierName,
      service,
      reasons: ['Ground costs 10.36 USD and takes 5 days.'],
    })
  const asks = () => callsTools(['check_address', { orderId }], ['quote_rates', { orderId }])

  describe('of what a person approved', () => {
    const pinned = { carrier: 'StandInPost', service: 'Priority', priceCents: 100_000 }

    it('is exactly that service, and no agent is asked', async () => {
      const { output, requests } = await propose({ pinned }, [])

      assert.equal(requests.length, 0)
      assert.partialDeepStrictEqual(output, {
        ...{ by: 'rules', verdict: 'propose', agent: null, findings: [] },
        proposal: { carrier: 'StandInPost', service: 'Priority' },
      })
      assert.ok((output.proposal?.priceCents ?? 0) < pinned.priceCents)
    })

    it('is refused when it costs more than was approved, or is not offered', async () => {
      for (const other of [{ priceCents: 1 }, { service: 'Rocket' }]) {
        orderId = randomUUID()
        const { output } = await propose({ pinned: { ...pinned, ...other } }, [])

        assert.equal(output.proposal, null)
        assert.deepEqual(
          output.findings.map(({ code, outcome }) => [code, outcome]),
          [['rate_changed', 'held']],
        )
      }
    })
  })

  describe('is quoted', () => {
    const quote = async (more: Partial<ShipmentRequest>) =>
      quoteShipment(
        { carrier: carrierAt(carrier.url), limitGrams: 30_000, boxGrams: 0 },
        request(more),
        AbortSignal.timeout(10_000),
      )

    it('as rules would choose, without storing anything', async () => {
      const { proposal, findings, weightGrams } = await quote({})

      assert.partialDeepStrictEqual(proposal, { carrier: 'StandInPost', service: 'Ground' })
      assert.deepEqual([findings, weightGrams], [[], 1_750])
      const { rows } = await db.query('select 1 from shipment where order_id = $1', [orderId])
      assert.equal(rows.length, 0)
    })

    it('as what stands against it', async () => {
      const { proposal, findings } = await quote({ lines: [line(100)] })

      assert.equal(proposal, null)
      assert.equal(findings[0]?.code, 'too_heavy')
    })
  })

  describe('asks the agent', () => {
    it('and takes the offer that it chose', async () => {
      const { output, requests } = await propose({}, [asks(), chooses('Priority')])

      assert.equal(output.by, 'agent')
      assert.equal(output.verdict, 'propose')
      assert.equal(output.proposal?.service, 'Priority')
      assert.equal(output.proposal?.priceCents, 1_710)
      assert.equal(output.weightGrams, 1_750)
      assert.equal(output.international, false)
      assert.deepEqual(output.findings, [])
      assert.deepEqual(output.reasons, ['Ground costs 10.36 USD and takes 5 days.'])
      assert.equal(output.agent?.model, 'claude-opus-5-5')
      assert.equal(output.agent?.turns, 2)
      assert.deepEqual(
        output.offers.map((offer) => offer.service),
        ['Ground', 'Priority', 'Express'],
      )
      assert.deepEqual(requests[0]?.messages[0]?.content, [
        { type: 'text', text: `<task>{"orderId":"${orderId}","round":1}</task>` },
      ])
    })

    it('with the same facts that the rules use, and no name or street', async () => {
      const shipBy = '2099-01-01'
      const { output, requests } = await propose({ shipBy }, [asks(), chooses('Ground')])

      assert.deepEqual(toolResults(requests[1]), [
        { deliverable: true, country: 'US', domestic: true, problems: [] },
        {
          parcel: { weightGrams: 1_750 },
          shipBy,
          serviceLevel: 'cheapest',
          offers: output.offers,
        },
      ])
      assert.equal(output.proposal?.meetsShipBy, true)
      const seen = JSON.stringify(requests)
      assert.ok(!seen.includes(home.name) && !seen.includes(home.street1))
    })

    it('about this order only', async () => {
      const other = randomUUID()
      const { requests } = await propose({}, [
        callsTools(['quote_rates', { orderId: other }], ['check_address', { orderId: '1' }]),
        chooses('Ground'),
      ])

      for (const result of toolResults(requests[1])) assert.match(String(result), /^not_in_order: /)
    })

    it('with the same prompt, tools and schema each time', async () => {
      const first = await propose({}, [chooses('Ground')])
      orderId = randomUUID()
      const second = await propose({ shipTo: abroad }, [chooses('InternationalStandard')])

      const prefix = ({ requests }: typeof first) => {
        const { system, tools, verdictSchema } = requests[0] ?? assert.fail()
        return JSON.stringify({ system, tools, verdictSchema })
      }
      assert.equal(prefix(first), prefix(second))
      assert.deepEqual(first.requests[0]?.verdictSchema, toModelSchema(shipmentVerdict))
      assert.ok(!/\d{4}-\d\d-\d\d|[0-9a-f]{8}-/.test(first.requests[0]?.system ?? ''))
    })

    it('and passes its review on, with what would be bought', async () => {
      const { output } = await propose({}, [asks(), chooses(null, 'review')])

      assert.equal(output.verdict, 'review')
      assert.equal(output.by, 'agent')
      assert.equal(output.proposal?.service, 'Ground')
    })

    it('for a parcel abroad among the services that go there', async () => {
      const { output } = await propose({ shipTo: abroad }, [
        asks(),
        chooses('InternationalExpress'),
      ])

      assert.equal(output.international, true)
      assert.equal(output.proposal?.service, 'InternationalExpress')
      assert.equal(output.offers.length, 2)
    })
  })

  describe('goes by the rules', () => {
    it('when the agent invents a carrier, and says so', async () => {
      const { output } = await propose({}, [asks(), chooses('Ground', 'propose', 'DreamPost')])

      assert.equal(output.by, 'agent')
      assert.equal(output.proposal?.carrier, 'StandInPost')
      assert.equal(output.proposal?.service, 'Ground')
      assert.match(output.reasons.join(' '), /not offered/)
    })

    it('when its verdict is broken twice', async () => {
      const { output, requests } = await propose({}, [
        asks(),
        answers({ verdict: 'yes' }),
        answers('Ground, I think'),
      ])

      assert.equal(requests.length, 3)
      assert.equal(output.by, 'rules')
      assert.equal(output.agentFailure?.code, 'verdict_invalid')
      assert.equal(output.verdict, 'propose')
      assert.equal(output.proposal?.service, 'Ground')
      assert.equal(output.agent?.turns, 3)
    })

    it('when it refuses, or Claude is away', async () => {
      const refused = await propose({ serviceLevel: 'fastest' }, [turn('refusal', [])])
      orderId = randomUUID()
      const away = await propose({}, [unavailable('model_overloaded', 'Claude is overloaded')])

      assert.equal(refused.output.agentFailure?.code, 'refused')
      assert.equal(refused.output.proposal?.service, 'Express')
      assert.equal(away.output.agentFailure?.code, 'model_unavailable')
      assert.equal(away.output.proposal?.service, 'Ground')
    })

    it('but takes a verdict that it repairs, with its reasons clipped', async () => {
      const { output } = await propose({}, [
        answers('{"verdict":'),
        answers({
          verdict: 'propose',
          carrier: 'StandInPost',
          service: 'Ground',
          reasons: Array<string>(12).fill('x'.repeat(400)),
        }),
      ])

      assert.equal(output.by, 'agent')
      assert.equal(output.agent?.repaired, true)
      assert.equal(output.reasons.length, 8)
      assert.equal(output.reasons[0]?.length, 300)
    })
  })

  describe('asks no agent', () => {
    const settled = async (more: Partial<ShipmentRequest>) => {
      const { output, requests } = await propose(more, [])
      assert.equal(requests.length, 0)
      assert.equal(output.by, 'rules')
      assert.equal(output.verdict, 'propose')
      assert.equal(output.agent, null)
      assert.equal(output.proposal, null)
      return output.findings.map(({ code, outcome }) => `${code} ${outcome}`)
    }

    it('about a parcel that is too heavy, nor the carrier', async () => {
      await carrier.fault({ route: 'rates', kind: 'status', times: 9 })

      assert.deepEqual(await settled({ lines: [line(86)] }), ['too_heavy held'])
    })

    it('about an address that the carrier does not find', async () => {
      assert.deepEqual(await settled({ shipTo: { ...abroad, country: 'XX' } }), [
        'address_refused held',
      ])
    })

    it('about a parcel that nobody takes', async () => {
      await carrier.fault({ route: 'rates', kind: 'refuse' })

      assert.deepEqual(await settled({}), ['no_service held'])
    })
  })

  describe('repeated', () => {
    it('returns what is stored and asks neither carrier nor agent', async () => {
      const first = await propose({}, [asks(), chooses('Priority')])
      await carrier.fault({ route: 'rates', kind: 'status', times: 9 })

      const again = await propose({}, [])

      assert.deepEqual(again.output, first.output)
      assert.equal(again.requests.length, 0)
    })

    it('with other content is refused', async () => {
      await propose({}, [chooses('Priority')])

      const changed = { kind: 'rejected', code: 'shipment_changed' }
      await assert.rejects(propose({ lines: [line(6)] }, [chooses('Ground')]), changed)
      await assert.rejects(propose({ serviceLevel: 'fastest' }, [chooses('Ground')]), changed)
      const row = await readShipment(db, { orderId, round: 1 })
      assert.equal(row?.choice?.service, 'Priority')
    })

    it('at once stores one choice, and everybody returns it', async () => {
      const services = ['Ground', 'Priority', 'Express']

      const all = await Promise.all(services.map((service) => propose({}, [chooses(service)])))

      const stored = (await readShipment(db, { orderId, round: 1 }))?.choice?.service
      assert.deepEqual(
        all.map(({ output }) => output.proposal?.service),
        [stored, stored, stored],
      )
    })

    it('after the carrier was away finds nothing stored and goes on', async () => {
      await carrier.fault({ route: 'address', kind: 'status', status: 503 })

      await assert.rejects(propose({}, []), { kind: 'unavailable', code: 'carrier_unavailable' })
      assert.equal(await readShipment(db, { orderId, round: 1 }), undefined)
      const { output } = await propose({}, [chooses('Ground')])

      assert.equal(output.proposal?.service, 'Ground')
    })

    it('after an undo is refused, whether it came before or during the proposal', async () => {
      const voided = { kind: 'rejected', code: 'label_voided' }
      await undoLabel(labelDeps(), { orderId, round: 1 })
      await assert.rejects(propose({}, [chooses('Ground')]), voided)

      orderId = randomUUID()
      const model = scriptedModel([chooses('Ground')])
      const [tool] = fulfillmentTools({
        ...labelDeps(),
        askAgent: async (question, signal) => {
          await undoLabel(labelDeps(), question)
          return createShipmentAgent(agentDeps(model), settings)(question, signal)
        },
        limitGrams: 30_000,
        boxGrams: 0,
      })
      const context = {
        signal: AbortSignal.timeout(10_000),
        traceId: 't',
        clientId: 'test',
        scopes: [],
      }
      const late = tool?.handle({ orderId, round: 1, ...request() }, context) ?? assert.fail()
      await assert.rejects(late, voided)
    })
  })
})
