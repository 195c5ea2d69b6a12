import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { LightMyRequestResponse } from 'fastify'
import type { buildAnswer } from '../../orchestrator/answer.ts'
import type { ApprovalOffer } from '../../orchestrator/approval.ts'
import { startForgotten } from '../../orchestrator/intake.ts'
import { readOrder } from '../../orchestrator/order-store.ts'
import { rejected, unavailable } from '../../platform/errors.ts'
import { waitFor } from '../support/wait-for.ts'
import { finding, openedOrder, parcelQuote, shipment, stockLine } from './support/answers.ts'
import { startTestOrchestrator, type TestOrchestrator } from './support/orchestrator.ts'
import type { Call } from './support/services.ts'

type Answer = Awaited<ReturnType<typeof buildAnswer>> & { approval?: ApprovalOffer }
type Offer = Extract<ApprovalOffer, { available: true }>

const body = { sku: 'mug', qty: 2, customer: 'Ada Lovelace' }
const agentTools = ['validate_order', 'check_inventory']
const overLimit = finding('over_limit', 'held')
const held = { open_order: over, quote_order: over }

function over({ input }: Call) {
  return openedOrder(input.orderId, { round: input.round, findings: [overLimit] })
}

describe('a person and an order that waits', () => {
  let orchestrator: TestOrchestrator
  let acme: { authorization: string }
  let operator: { authorization: string }
  let bolt: { authorization: string }

  before(async () => {
    orchestrator = await startTestOrchestrator()
    acme = await orchestrator.token('acme', 'orders:submit orders:read orders:cancel')
    bolt = await orchestrator.token(
      'bolt',
      'orders:read orders:approve orders:resume orders:cancel',
    )
    operator = await orchestrator.token(
      'olga',
      'orders:read:all orders:read orders:approve orders:approve:all orders:resume orders:resume:all',
    )
  })
  after(() => orchestrator[Symbol.asyncDispose]())
  beforeEach(() => {
    for (const tool of Object.keys(orchestrator.table)) delete orchestrator.table[tool]
    orchestrator.services.calls.length = 0
  })

  const post = (url: string, headers: object, payload?: object) =>
    orchestrator.app.inject({
      method: 'POST',
      url,
      headers: { ...headers },
      ...(payload && { payload }),
    })
  const read = async (orderId: string): Promise<Answer> =>
    (await orchestrator.app.inject({ url: `/orders/${orderId}`, headers: operator })).json()
  const submit = async () => (await post('/orchestrate', acme, body)).json() as Answer
  const act = (orderId: string, what: string, payload?: object, who = operator) =>
    post(`/orders/${orderId}/${what}`, who, payload)
  const ended = async (orderId: string): Promise<Answer> => {
    const isOver = async () => (await read(orderId)).status !== 'running'
    await waitFor(isOver, { what: `the end of ${orderId}` })
    return read(orderId)
  }
  const assertProblem = (response: LightMyRequestResponse, status: number, code: string) => {
    assert.equal(response.statusCode, status, response.body)
    const problem = response.json()
    assert.equal(problem.code, code)
    return problem
  }
  /** An order over the limit, and what its approval would run. */
  const holdOne = async (): Promise<{ orderId: string; offer: Offer }> => {
    Object.assign(orchestrator.table, held)
    const { orderId, status } = await submit()
    assert.equal(status, 'held')
    return { orderId, offer: offerOf(await read(orderId)) }
  }
  const offerOf = ({ approval }: Answer): Offer => {
    assert.ok(approval?.available === true, JSON.stringify(approval))
    return approval
  }
  const toolsOfRound = (round: number) =>
    orchestrator.services.calls.filter(({ input }) => input.round === round).map(({ tool }) => tool)

  describe('reading a held order', () => {
    it('shows exactly what an approval would run, and its digest', async () => {
      const { orderId, offer } = await holdOne()

      const { approvable, digest, plan } = offer
      assert.equal(approvable, true)
      assert.match(digest, /^[0-9a-f]{64}$/)
      assert.partialDeepStrictEqual(plan, {
        orderId,
        round: 2,
        lines: [{ sku: 'mug', quantity: 2, unitPriceCents: 1_200, inStock: true }],
        totalCents: 2_400,
        shipment: { carrier: 'USPS', service: 'Ground', priceCents: 780, weightGrams: 700 },
        overrides: [{ code: 'over_limit' }],
      })
      assert.equal(offerOf(await read(orderId)).digest, digest)
    })

    it('shows no approval of an order that is not held', async () => {
      const { orderId, status } = await submit()

      assert.equal(status, 'fulfilled')
      assert.equal((await read(orderId)).approval, undefined)
    })

    it('says when nothing can be approved because a service is away', async () => {
      const { orderId } = await holdOne()
      orchestrator.table.quote_shipment = unavailable('dependency_unavailable', 'It is away')

      const { status, approval } = await read(orderId)

      assert.equal(status, 'held')
      assert.partialDeepStrictEqual(approval, { available: false, code: 'dependency_unavailable' })
    })
  })

  describe('approving', () => {
    it('begins the next round, which runs exactly what was approved, without agents', async () => {
      const { orderId, offer } = await holdOne()

      const response = await act(orderId, 'approve', { digest: offer.digest })
      assert.equal(response.statusCode, 202, response.body)
      assert.equal(response.headers.location, `/orders/${orderId}`)
      const order = await ended(orderId)

      assert.partialDeepStrictEqual(order, {
        status: 'fulfilled',
        round: 2,
        decision: { by: 'person', reasons: ['Approved by olga'] },
      })
      const tools = toolsOfRound(2).filter((tool) => !tool.startsWith('quote_'))
      assert.deepEqual(tools, [
        'open_order',
        'propose_shipment',
        'reserve_stock',
        'generate_label',
        'commit_stock',
        'close_order',
      ])
      assert.ok(!tools.some((tool) => agentTools.includes(tool)))
      const pinned = { carrier: 'USPS', service: 'Ground', priceCents: 780 }
      const proposed = orchestrator.services.calls.findLast((c) => c.tool === 'propose_shipment')
      assert.deepEqual(proposed?.input.pinned, pinned)
    })

    it('is single use', async () => {
      const { orderId, offer } = await holdOne()

      const both = await Promise.all([1, 2].map(() => act(orderId, 'approve', offer)))
      assert.ok(
        both.every(({ statusCode }) => statusCode === 400),
        'the digest alone is sent',
      )
      const { digest } = offer
      const tries = await Promise.all([1, 2, 3, 4].map(() => act(orderId, 'approve', { digest })))
      await ended(orderId)

      const codes = tries.map(({ statusCode }) => statusCode).sort()
      assert.deepEqual(codes, [202, 409, 409, 409])
      assertProblem(await act(orderId, 'approve', { digest }), 409, 'approval_used')
      assert.equal(toolsOfRound(2).filter((tool) => tool === 'generate_label').length, 1)
      assert.deepEqual(
        toolsOfRound(3).filter((tool) => tool !== 'quote_order'),
        [],
      )
    })

    const changes: [what: string, table: Record<string, unknown>][] = [
      [
        'a price',
        {
          quote_order: ({ input }: Call) => {
            const opened = openedOrder(input.orderId, { round: input.round, findings: [overLimit] })
            const lines = opened.lines.map((line) => ({ ...line, unitPriceCents: 1_300 }))
            return { ...opened, lines, totalCents: 2_600 }
          },
        },
      ],
      [
        'the address',
        {
          quote_order: ({ input }: Call) => {
            const opened = openedOrder(input.orderId, { round: input.round, findings: [overLimit] })
            return { ...opened, shipTo: { ...opened.shipTo, street1: '2 Side Street' } }
          },
        },
      ],
      ['stock', { get_stock: { stock: [{ sku: 'mug', name: 'Mug', available: 1 }] } }],
      [
        'postage',
        {
          quote_shipment: () => {
            const { proposal } = parcelQuote()
            return parcelQuote({ proposal: proposal && { ...proposal, priceCents: 990 } })
          },
        },
      ],
    ]
    for (const [what, table] of changes) {
      it(`is refused as stale when ${what} has changed, and shows what it is now`, async () => {
        const { orderId, offer } = await holdOne()
        Object.assign(orchestrator.table, table)

        const response = await act(orderId, 'approve', { digest: offer.digest })

        const problem = assertProblem(response, 409, 'approval_stale')
        assert.notEqual(problem.approval.digest, offer.digest)
        const row = await readOrder(orchestrator.pool, orderId)
        assert.deepEqual([row.status, row.round], ['held', 1])
      })
    }

    it('ends the round held when something changes after it was begun', async () => {
      const { orderId, offer } = await holdOne()
      orchestrator.table.open_order = ({ input }: Call) =>
        openedOrder(input.orderId, { round: input.round, findings: [overLimit], totalCents: 9_900 })

      await act(orderId, 'approve', { digest: offer.digest })
      const order = await ended(orderId)

      assert.partialDeepStrictEqual(order, { status: 'held', round: 2, code: 'approval_stale' })
      assert.ok(!toolsOfRound(2).includes('reserve_stock'))
    })

    it('does not overrule what it did not show', async () => {
      const { orderId, offer } = await holdOne()
      orchestrator.table.propose_shipment = shipment({
        proposal: null,
        findings: [finding('rate_changed', 'held')],
      })

      await act(orderId, 'approve', { digest: offer.digest })

      assert.partialDeepStrictEqual(await ended(orderId), { status: 'held', code: 'rate_changed' })
    })

    it('is refused for what no approval can overrule', async () => {
      const heavy = finding('too_heavy', 'held')
      orchestrator.table.propose_shipment = shipment({ proposal: null, findings: [heavy] })
      orchestrator.table.quote_shipment = parcelQuote({ proposal: null, findings: [heavy] })
      const { orderId } = await submit()
      const offer = offerOf(await read(orderId))

      assert.equal(offer.approvable, false)
      assertProblem(await act(orderId, 'approve', { digest: offer.digest }), 409, 'not_approvable')
    })

    it('is started by the sweep when its process died before it could', async () => {
      const { orderId, offer } = await holdOne()
      const { start } = orchestrator.deps.engine
      const engine = orchestrator.deps.engine as { start: typeof start }
      engine.start = () => Promise.reject(new Error('it died'))
      try {
        assert.equal((await act(orderId, 'approve', { digest: offer.digest })).statusCode, 202)
      } finally {
        Reflect.deleteProperty(engine, 'start')
      }
      await orchestrator.pool.query(
        `update customer_order set requested_at = now() - interval '1 minute' where order_id = $1`,
        [orderId],
      )

      await startForgotten(orchestrator.deps)

      assert.partialDeepStrictEqual(await ended(orderId), { status: 'fulfilled', round: 2 })
    })
  })

  describe('editing', () => {
    it('begins an ordinary round with the changed order; the first request still finds it', async () => {
      const key = { 'idempotency-key': 'edit-me' }
      orchestrator.table.open_order = ({ input }: Call) =>
        openedOrder(input.orderId, {
          round: input.round,
          findings: input.round === 1 ? [overLimit] : [],
        })
      const { orderId } = (await post('/orchestrate', { ...acme, ...key }, body)).json()
      const { digest } = offerOf(await read(orderId))

      const change = { digest, lines: [{ sku: 'mug', quantity: 1 }], note: 'Fewer, please' }
      assert.equal((await act(orderId, 'edit', change)).statusCode, 202)
      const order = await ended(orderId)

      assert.partialDeepStrictEqual(order, {
        status: 'fulfilled',
        round: 2,
        order: { lines: [{ sku: 'mug', quantity: 1 }], note: 'Fewer, please' },
        decision: { by: 'agent' },
      })
      assert.ok(toolsOfRound(2).includes('validate_order'))
      const again = (await post('/orchestrate', { ...acme, ...key }, body)).json()
      assert.equal(again.orderId, orderId)
    })

    it('names the field that is not valid, and what would change nothing', async () => {
      const { orderId, offer } = await holdOne()
      const { digest } = offer
      const edit = (change: object) => act(orderId, 'edit', { digest, ...change })

      const bad = assertProblem(
        await edit({ lines: [{ sku: 'mug', quantity: 0 }] }),
        400,
        'invalid_order',
      )
      assert.equal(bad.errors[0].pointer, '/lines/0/quantity')
      assertProblem(await edit({ customer: 'Somebody Else' }), 400, 'invalid_body')
      assertProblem(await edit({ lines: [{ sku: 'mug', quantity: 2 }] }), 400, 'no_change')
      assertProblem(await edit({}), 400, 'no_change')
      assert.equal((await readOrder(orchestrator.pool, orderId)).status, 'held')
    })
  })

  describe('rejecting', () => {
    it('ends the order as rejected, at the order service too', async () => {
      const { orderId, offer } = await holdOne()

      const response = await act(orderId, 'reject', { digest: offer.digest, reason: 'Not today' })
      assert.equal(response.statusCode, 202, response.body)
      const order = await ended(orderId)

      assert.partialDeepStrictEqual(order, {
        status: 'rejected',
        code: 'rejected_by_person',
        round: 1,
        message: 'Rejected by olga: Not today',
        decision: { by: 'person' },
      })
      const closed = orchestrator.services.calls.findLast(({ tool }) => tool === 'close_order')
      assert.partialDeepStrictEqual(closed?.input, { round: 1, outcome: 'rejected' })
      assertProblem(await act(orderId, 'reject', { digest: offer.digest }), 409, 'approval_used')
    })

    it('and approving at once end in one of the two', async () => {
      for (let race = 0; race < 10; race++) {
        const { orderId, offer } = await holdOne()
        const { digest } = offer

        const tries = await Promise.all([
          act(orderId, 'approve', { digest }),
          act(orderId, 'reject', { digest }),
          post(`/orders/${orderId}/cancel`, acme),
        ])
        const order = await ended(orderId)

        const won = tries.filter(({ statusCode }) => statusCode === 202)
        assert.ok(won.length >= 1, JSON.stringify(tries.map(({ body }) => body)))
        assert.ok(['fulfilled', 'rejected', 'cancelled'].includes(order.status))
      }
    })
  })

  it('lets a client give up its own held order', async () => {
    const { orderId } = await holdOne()

    const response = await post(`/orders/${orderId}/cancel`, acme)
    assert.equal(response.statusCode, 202, response.body)

    assert.partialDeepStrictEqual(await ended(orderId), {
      status: 'cancelled',
      code: 'cancelled_by_client',
    })
  })

  it('shows another client’s order to nobody, and needs a scope of its own', async () => {
    const { orderId, offer } = await holdOne()
    const { digest } = offer
    for (const what of ['approve', 'reject', 'edit', 'resume']) {
      const payload = what === 'resume' ? undefined : { digest }
      assertProblem(await act(orderId, what, payload, bolt), 404, 'no_such_order')
      assertProblem(await act(orderId, what, payload, acme), 403, 'insufficient_scope')
    }
    assert.equal((await readOrder(orchestrator.pool, orderId)).status, 'held')
  })

  it('refuses a body that is not one, and an order that is not held', async () => {
    const { orderId } = await submit()
    const digest = 'a'.repeat(64)

    assertProblem(await act(orderId, 'approve', { digest }), 409, 'not_held')
    for (const bad of [{}, { digest: 'abc' }, { digest, more: 1 }, { digest: 7 }]) {
      assertProblem(await act(orderId, 'approve', bad), 400, 'invalid_body')
    }
    assertProblem(await act('x', 'approve', { digest }), 400, 'invalid_order_id')
  })

  describe('resuming', () => {
    const away = unavailable('dependency_unavailable', 'It cannot be reached')

    it('sends an order that is stuck after its pivot on to its label, once', async () => {
      orchestrator.table.commit_stock = away
      const stuck = await submit()
      assert.equal(stuck.status, 'stuck')
      delete orchestrator.table.commit_stock

      const tries = await Promise.all([1, 2, 3].map(() => act(stuck.orderId, 'resume')))
      const order = await ended(stuck.orderId)

      assert.deepEqual(tries.map(({ statusCode }) => statusCode).sort(), [202, 409, 409])
      assert.partialDeepStrictEqual(order, {
        status: 'fulfilled',
        round: 1,
        decision: { by: 'agent' },
      })
      assert.deepEqual(Reflect.get(order, 'label'), Reflect.get(stuck, 'label'))
      assertProblem(await act(stuck.orderId, 'resume'), 409, 'not_stuck')
    })

    it('undoes what could not be undone, and ends it as it was to end', async () => {
      orchestrator.table.reserve_stock = ({ input }: Call) => {
        const lines = [{ sku: 'mug', quantity: 1 }]
        return { ...input, state: 'held', lines }
      }
      orchestrator.table.release_stock = away
      const stuck = await submit()
      assert.deepEqual([stuck.status, stuck.code], ['stuck', 'undo_failed'])
      delete orchestrator.table.release_stock

      assert.equal((await act(stuck.orderId, 'resume')).statusCode, 202)

      assert.partialDeepStrictEqual(await ended(stuck.orderId), {
        status: 'held',
        code: 'decided_hold',
      })
    })

    it('takes the way back when the carrier refuses the label after all', async () => {
      orchestrator.table.generate_label = away
      const stuck = await submit()
      assert.equal(stuck.status, 'stuck')
      orchestrator.table.generate_label = rejected('address_refused', 'No such street')

      await act(stuck.orderId, 'resume')

      assert.partialDeepStrictEqual(await ended(stuck.orderId), {
        status: 'held',
        code: 'address_refused',
      })
      const undone = orchestrator.services.calls
        .filter(({ input }) => input.orderId === stuck.orderId)
        .map(({ tool }) => tool)
        .filter((tool) => ['void_label', 'release_stock'].includes(tool))
      assert.deepEqual(undone, ['void_label', 'release_stock'])
    })

    it('may be needed again and again', async () => {
      orchestrator.table.commit_stock = away
      const { orderId } = await submit()
      for (let time = 0; time < 3; time++) {
        assert.equal((await act(orderId, 'resume')).statusCode, 202)
        assert.equal((await ended(orderId)).status, 'stuck')
      }
      delete orchestrator.table.commit_stock

      await act(orderId, 'resume')

      assert.equal((await ended(orderId)).status, 'fulfilled')
      assert.equal((await readOrder(orchestrator.pool, orderId)).resumes, 4)
    })
  })

  it('does not reserve for a held order', async () => {
    const { orderId } = await holdOne()

    const tools = orchestrator.services.calls
      .filter(({ input }) => input.orderId === orderId)
      .map(({ tool }) => tool)
    assert.ok(!tools.includes('reserve_stock') && !tools.includes('generate_label'))
    assert.ok(stockLine().available > 0)
  })
})
