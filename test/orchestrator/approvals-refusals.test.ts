/** What a person may not do with an order that waits, and what goes wrong around it. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { LightMyRequestResponse } from 'fastify'
import { readOrder } from '../../orchestrator/order-store.ts'
import { internal, unavailable } from '../../platform/errors.ts'
import { waitFor } from '../support/wait-for.ts'
import { finding, openedOrder, parcelQuote } from './support/answers.ts'
import { startTestOrchestrator, type TestOrchestrator } from './support/orchestrator.ts'
import type { Call } from './support/services.ts'

const body = { sku: 'mug', qty: 2, customer: 'Ada Lovelace' }
const overLimit = finding('over_limit', 'held')
const away = unavailable('dependency_unavailable', 'It cannot be reached')
const racesEach = 10

const over = ({ input }: Call) =>
  openedOrder(input.orderId, { round: input.round, findings: [overLimit] })
const dearer = ({ input }: Call) => {
  const opened = openedOrder(input.orderId, { round: input.round, findings: [overLimit] })
  const lines = opened.lines.map((line) => ({ ...line, unitPriceCents: 1_300 }))
  return { ...opened, lines, totalCents: 2_600 }
}

describe('the limits of what a person may do', () => {
  let orchestrator: TestOrchestrator
  let acme: { authorization: string }
  let bolt: { authorization: string }
  let operator: { authorization: string }

  before(async () => {
    orchestrator = await startTestOrchestrator()
    const own = 'orders:submit orders:read orders:cancel orders:approve orders:resume'
    acme = await orchestrator.token('acme', own)
    bolt = await orchestrator.token('bolt', own)
    operator = await orchestrator.token(
      'olga',
      'orders:read orders:read:all orders:approve orders:approve:all orders:cancel orders:cancel:all',
    )
  })
  after(() => orchestrator[Symbol.asyncDispose]())
  beforeEach(() => {
    for (const tool of Object.keys(orchestrator.table)) delete orchestrator.table[tool]
    orchestrator.services.calls.length = 0
  })

  const act = (orderId: string, what: string, payload?: object | string, who = acme) =>
    orchestrator.app.inject({
      method: 'POST',
      url: `/orders/${orderId}/${what}`,
      headers: { ...who, ...(payload !== undefined && { 'content-type': 'application/json' }) },
      ...(payload !== undefined && { payload }),
    })
  const read = (orderId: string, who = acme) =>
    orchestrator.app.inject({ url: `/orders/${orderId}`, headers: who })
  const submit = async () => {
    const headers = { ...acme }
    return (
      await orchestrator.app.inject({ method: 'POST', url: '/orchestrate', headers, payload: body })
    ).json()
  }
  const holdOne = async () => {
    Object.assign(orchestrator.table, { open_order: over, quote_order: over })
    const { orderId, status } = await submit()
    assert.equal(status, 'held')
    const { approval } = (await read(orderId)).json()
    return { orderId: orderId as string, digest: approval.digest as string }
  }
  const ended = async (orderId: string) => {
    const isOver = async () => (await readOrder(orchestrator.pool, orderId)).status !== 'running'
    await waitFor(isOver, { what: `the end of ${orderId}` })
    return readOrder(orchestrator.pool, orderId)
  }
  const assertProblem = (response: LightMyRequestResponse, status: number, code: string) => {
    assert.equal(response.statusCode, status, response.body)
    assert.equal(response.json().code, code)
    return response.json()
  }
  const assertUntouched = async (orderId: string) => {
    const { status, round, resumes } = await readOrder(orchestrator.pool, orderId)
    assert.deepEqual([status, round, resumes], ['held', 1, 0])
  }

  describe('of a client', () => {
    it('who may approve: its own orders, and nobody else’s', async () => {
      const { orderId, digest } = await holdOne()

      assertProblem(await act(orderId, 'approve', { digest }, bolt), 404, 'no_such_order')
      assert.equal((await act(orderId, 'approve', { digest })).statusCode, 202)

      const { status, summary } = await ended(orderId)
      assert.deepEqual([status, summary?.decision.reasons], ['fulfilled', ['Approved by acme']])
    })

    it('who may resume: its own orders, and nobody else’s', async () => {
      orchestrator.table.commit_stock = away
      const { orderId, status } = await submit()
      assert.equal(status, 'stuck')
      delete orchestrator.table.commit_stock

      assertProblem(await act(orderId, 'resume', undefined, bolt), 404, 'no_such_order')
      assertProblem(await act(orderId, 'resume', undefined, operator), 403, 'insufficient_scope')
      assert.equal((await act(orderId, 'resume')).statusCode, 202)

      assert.equal((await ended(orderId)).status, 'fulfilled')
    })

    it('without a token, or of an order that is none', async () => {
      const digest = 'a'.repeat(64)
      const nobody = { authorization: '' }
      const none = '00000000-0000-4000-8000-000000000000'
      for (const what of ['approve', 'reject', 'edit', 'resume']) {
        const payload = what === 'resume' ? undefined : { digest }
        const refused = await act(none, what, payload, nobody)
        assert.equal(refused.statusCode, 401, refused.body)
        assertProblem(await act(none, what, payload), 404, 'no_such_order')
      }
    })
  })

  describe('by a body', () => {
    const proto = (digest: string) => `{"digest":"${digest}","__proto__":{"isAdmin":true}}`
    const nested = (digest: string) =>
      `{"digest":"${digest}","lines":[{"sku":"mug","quantity":1,"__proto__":{"a":1}}]}`
    const builder = (digest: string) =>
      `{"digest":"${digest}","constructor":{"prototype":{"a":1}},"note":"x"}`

    it('that would change what objects are', async () => {
      const { orderId, digest } = await holdOne()
      for (const text of [proto, nested, builder]) {
        for (const what of ['approve', 'reject', 'edit']) {
          const refused = await act(orderId, what, text(digest))
          assert.equal(refused.statusCode, 400, `${what} ${text(digest)} ${refused.body}`)
        }
      }
      assert.equal(Reflect.get({}, 'isAdmin'), undefined)
      await assertUntouched(orderId)
    })

    it('with an unknown field, which is named', async () => {
      const { orderId, digest } = await holdOne()
      for (const what of ['approve', 'reject', 'edit']) {
        const refused = await act(orderId, what, { digest, force: true })
        const { errors } = assertProblem(refused, 400, 'invalid_body')
        assert.equal(errors[0].pointer, '/force')
      }
      await assertUntouched(orderId)
    })

    it('whose digest is none', async () => {
      const { orderId, digest } = await holdOne()
      const wrong = [undefined, null, 7, '', 'abc', digest.toUpperCase(), `${digest}0`, [digest]]
      for (const bad of wrong) {
        const refused = await act(orderId, 'approve', { digest: bad })
        const { errors } = assertProblem(refused, 400, 'invalid_body')
        assert.equal(errors[0].pointer, '/digest')
      }
      for (const text of ['', '[]', '"x"', 'null', '{']) {
        assert.equal((await act(orderId, 'approve', text)).statusCode, 400, text)
      }
      await assertUntouched(orderId)
    })

    it('that is too large', async () => {
      const { orderId, digest } = await holdOne()

      const refused = await act(orderId, 'edit', { digest, note: 'x'.repeat(70_000) })

      assert.equal(refused.statusCode, 413, refused.body)
      const reason = await act(orderId, 'reject', { digest, reason: 'x'.repeat(501) })
      assert.equal(assertProblem(reason, 400, 'invalid_body').errors[0].pointer, '/reason')
      await assertUntouched(orderId)
    })

    it('that edits a field into what it cannot be, each named as at the door', async () => {
      const { orderId, digest } = await holdOne()
      const wrong: [change: object, pointer: string][] = [
        [{ lines: [] }, '/lines'],
        [{ lines: null }, '/lines'],
        [{ lines: [{ sku: 'mug', quantity: 1.5 }] }, '/lines/0/quantity'],
        [{ lines: [{ sku: 'mug', quantity: 1, price: 0 }] }, '/lines/0/price'],
        [{ shipTo: { name: 'Ada' } }, '/shipTo/street1'],
        [{ shipBy: '2026-02-30' }, '/shipBy'],
        [{ note: 7 }, '/note'],
      ]
      for (const [change, pointer] of wrong) {
        const refused = await act(orderId, 'edit', { digest, ...change })
        const { errors } = refused.json()
        assert.equal(refused.statusCode, 400, refused.body)
        assert.equal(errors?.[0].pointer, pointer, refused.body)
      }
      await assertUntouched(orderId)
    })
  })

  describe('by what has changed since', () => {
    it('for an edit and a rejection as for an approval', async () => {
      const { orderId, digest } = await holdOne()
      orchestrator.table.quote_order = dearer

      for (const [what, more] of [
        ['approve', {}],
        ['edit', { note: 'Fewer' }],
        ['reject', {}],
      ] as const) {
        const problem = assertProblem(
          await act(orderId, what, { digest, ...more }),
          409,
          'approval_stale',
        )
        assert.equal(problem.approval.plan.totalCents, 2_600)
        assert.match(problem.approval.digest, /^[0-9a-f]{64}$/)
      }
      await assertUntouched(orderId)
    })

    it('until somebody approves what it shows now', async () => {
      const { orderId, digest } = await holdOne()
      orchestrator.table.quote_order = dearer
      orchestrator.table.open_order = dearer
      const stale = assertProblem(await act(orderId, 'approve', { digest }), 409, 'approval_stale')

      const fresh = stale.approval.digest
      assert.equal((await act(orderId, 'approve', { digest: fresh })).statusCode, 202)

      assert.deepEqual([(await ended(orderId)).status], ['fulfilled'])
    })

    it('not for a sale of what there is enough of', async () => {
      const { orderId, digest } = await holdOne()
      orchestrator.table.get_stock = { stock: [{ sku: 'mug', name: 'Mug', available: 2 }] }

      assert.equal((await act(orderId, 'approve', { digest })).statusCode, 202)
    })

    it('nor by the digest of another order', async () => {
      const { digest } = await holdOne()
      const { orderId } = await holdOne()

      assertProblem(await act(orderId, 'approve', { digest }), 409, 'approval_stale')
    })

    it('nor by a digest that has done something else already', async () => {
      const { orderId, digest } = await holdOne()
      assert.equal((await act(orderId, 'edit', { digest, note: 'Please' })).statusCode, 202)
      assert.equal((await ended(orderId)).status, 'held')

      for (const what of ['approve', 'reject'] as const) {
        const used = assertProblem(await act(orderId, what, { digest }), 409, 'approval_used')
        assert.match(used.next, new RegExp(`/orders/${orderId}`))
      }
      const { approval } = (await read(orderId)).json()
      assert.equal(approval.plan.round, 3)
      assert.equal(
        (await act(orderId, 'reject', { digest: approval.digest })).statusCode,
        202,
        'the digest of the next round is another one',
      )
    })
  })

  describe('while something is away', () => {
    const faults: [what: string, fault: Error][] = [
      ['cannot be reached', away],
      ['does not answer in time', unavailable('deadline_exceeded', 'It did not answer in time')],
      ['has a bug', internal('bad_tool_output', 'It broke its contract')],
    ]
    for (const tool of ['quote_order', 'get_stock', 'quote_shipment']) {
      for (const [what, fault] of faults) {
        it(`shows the order all the same, and changes nothing: ${tool} ${what}`, async () => {
          const { orderId, digest } = await holdOne()
          orchestrator.table[tool] = fault

          const shown = await read(orderId)
          assert.equal(shown.statusCode, 200, shown.body)
          const { status, approval } = shown.json()
          assert.deepEqual([status, approval.available], ['held', false])
          assert.ok(!shown.body.includes('broke its contract'), 'a bug keeps its text to itself')
          for (const act1 of ['approve', 'reject'] as const) {
            const refused = await act(orderId, act1, { digest })
            assertProblem(refused, 503, 'dependency_unavailable')
          }

          await assertUntouched(orderId)
          delete orchestrator.table[tool]
          Object.assign(orchestrator.table, { quote_order: over })
          assert.equal((await act(orderId, 'approve', { digest })).statusCode, 202)
        })
      }
    }
  })

  describe('where no approval helps', () => {
    const reasons: [what: string, table: Record<string, unknown>][] = [
      ['no stock', { get_stock: { stock: [{ sku: 'mug', name: 'Mug', available: 1 }] } }],
      [
        'a blocked customer',
        {
          quote_order: ({ input }: Call) =>
            openedOrder(input.orderId, {
              round: input.round,
              findings: [finding('blocked_customer', 'rejected')],
            }),
        },
      ],
      ...['too_heavy', 'no_service', 'address_refused'].map(
        (code): [string, Record<string, unknown>] => [
          code,
          {
            quote_shipment: parcelQuote({ proposal: null, findings: [finding(code, 'held')] }),
          },
        ],
      ),
    ]
    for (const [what, table] of reasons) {
      it(`says why and what else to do: ${what}`, async () => {
        const { orderId } = await holdOne()
        Object.assign(orchestrator.table, table)
        const { approval } = (await read(orderId)).json()

        assert.equal(approval.approvable, false)
        assert.ok(approval.why.length > 0 && /edit|reject/i.test(approval.next))
        const { digest } = approval
        assertProblem(await act(orderId, 'approve', { digest }), 409, 'not_approvable')
        await assertUntouched(orderId)
        assert.equal((await act(orderId, 'reject', { digest })).statusCode, 202)
        const { status, code } = await ended(orderId)
        assert.deepEqual([status, code], ['rejected', 'rejected_by_person'])
      })
    }
  })

  describe('against a cancel', () => {
    it('a client may ask for as often as it likes, also at once', async () => {
      for (let race = 0; race < racesEach; race++) {
        const { orderId } = await holdOne()

        const tries = await Promise.all([1, 2, 3].map(() => act(orderId, 'cancel')))

        for (const { statusCode, body } of tries) assert.equal(statusCode, 202, body)
        assert.equal((await ended(orderId)).status, 'cancelled')
        assert.equal((await act(orderId, 'cancel')).statusCode, 202)
      }
    })

    it('an approval at the same time: what was answered is what becomes of it', async () => {
      for (let race = 0; race < racesEach; race++) {
        const { orderId, digest } = await holdOne()

        const [approved, cancelled] = await Promise.all([
          act(orderId, 'approve', { digest }, operator),
          act(orderId, 'cancel'),
        ])
        const { status, round } = await ended(orderId)

        assert.ok([202, 409].includes(approved.statusCode), approved.body)
        // It meets the held order, or the next round before its pivot, or comes too late for that.
        if (cancelled.statusCode !== 202) assertProblem(cancelled, 409, 'too_late')
        assert.equal(status, cancelled.statusCode === 202 ? 'cancelled' : 'fulfilled')
        assert.equal(round, approved.statusCode === 202 ? 2 : 1)
      }
    })
  })
})
