/** Why an order ended as it did, as programs and as people read it. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Explanation } from '../../orchestrator/explain.ts'
import { unavailable } from '../../platform/errors.ts'
import { finding, openedOrder } from './support/answers.ts'
import { startTestOrchestrator, type TestOrchestrator } from './support/orchestrator.ts'
import type { Call } from './support/services.ts'

const order = { sku: 'mug', qty: 2, customer: 'Ada Lovelace' }

describe('the explanation of an order', () => {
  let orchestrator: TestOrchestrator
  let acme: { authorization: string }
  let support: { authorization: string }

  before(async () => {
    orchestrator = await startTestOrchestrator()
    acme = await orchestrator.token('acme', 'orders:submit orders:read')
    support = await orchestrator.token('support', 'orders:read orders:read:all')
  })
  after(() => orchestrator[Symbol.asyncDispose]())
  beforeEach(() => {
    for (const tool of Object.keys(orchestrator.table)) delete orchestrator.table[tool]
  })

  const place = async (): Promise<string> => {
    const request = { method: 'POST' as const, url: '/orchestrate', headers: acme, payload: order }
    return (await orchestrator.app.inject(request)).json().orderId
  }
  const ask = (orderId: string, headers: Record<string, string>) =>
    orchestrator.app.inject({ url: `/orders/${orderId}/explain`, headers })
  const explain = async (orderId: string, headers: Record<string, string>): Promise<Explanation> =>
    (await ask(orderId, headers)).json()
  const stepOf = (explained: Explanation, name: string) =>
    explained.steps.find(({ step }) => step === name)

  it('says who proposed what, by which model, for how much', async () => {
    const explained = await explain(await place(), support)

    const validated = stepOf(explained, 'validate_order')
    assert.equal(validated?.proposal?.by, 'agent')
    assert.equal(validated?.proposal?.verdict, 'accept')
    assert.match(validated?.agent?.model ?? '', /^claude-/)
    assert.match(validated?.agent?.costUsd ?? '', /^\d+(\.\d+)?$/)
    assert.equal(stepOf(explained, 'decide')?.proposal?.verdict, 'ship')
    assert.equal(stepOf(explained, 'reserve_stock')?.proposal, undefined)
    assert.match(explained.traceId, /^[0-9a-f]{32}$/)
  })

  it('shows what tools found to who may see every order, to others which were asked', async () => {
    const orderId = await place()

    const own = stepOf(await explain(orderId, acme), 'validate_order')
    const theirs = stepOf(await explain(orderId, support), 'validate_order')

    assert.deepEqual(own?.agent?.evidence, [{ tool: 'get_order', ok: true }])
    assert.match(theirs?.agent?.evidence[0]?.found ?? '', /seen/)
    for (const url of [`/orders/${orderId}`, `/orders/${orderId}/events`]) {
      const { body } = await orchestrator.app.inject({ url, headers: acme })
      assert.match(body, /get_order/)
      assert.doesNotMatch(body, /seen/)
    }
  })

  it('says what the rules object to', async () => {
    orchestrator.table.open_order = ({ input }: Call) =>
      openedOrder(input.orderId, { findings: [finding('unknown_sku', 'rejected')] })

    const explained = await explain(await place(), acme)

    assert.deepEqual([explained.status, explained.code], ['rejected', 'unknown_sku'])
    assert.equal(explained.findings[0]?.code, 'unknown_sku')
    assert.equal(stepOf(explained, 'open_order')?.proposal?.findings[0]?.code, 'unknown_sku')
  })

  it('says what failed, and after how many attempts', async () => {
    orchestrator.table.reserve_stock = unavailable('dependency_unavailable', 'inventory is away')

    const explained = await explain(await place(), acme)

    const reserved = stepOf(explained, 'reserve_stock')
    assert.deepEqual([reserved?.state, reserved?.attempts], ['failed', 3])
    assert.equal(reserved?.error?.code, 'dependency_unavailable')
  })

  it('can be read out', async () => {
    const orderId = await place()

    const response = await ask(orderId, { ...support, accept: 'text/plain' })

    assert.match(String(response.headers['content-type']), /^text\/plain/)
    const lines = response.body.split('\n')
    assert.equal(lines[0], `Order ${orderId}: fulfilled`)
    for (const part of [
      /^Decided by agent:$/m,
      /^- validate_order \(order\): done, \d+ ms$/m,
      /^ {4}The agent said: accept$/m,
      /^ {6}asked get_order: \{"seen":true\}$/m,
      /^In all \d+\.\d s, \d+ model tokens, [\d.]+ USD, simulated\.$/m,
      /^Trace [0-9a-f]{32}$/m,
    ]) {
      assert.match(response.body, part)
    }
    assert.ok(lines.every((line) => line.length <= 120))
  })

  it('is JSON unless text is asked for first', async () => {
    const orderId = await place()
    for (const accept of ['*/*', 'application/json', 'application/json, text/plain', 'text/html']) {
      const response = await ask(orderId, { ...acme, accept })
      assert.match(String(response.headers['content-type']), /^application\/json/, accept)
    }
  })
})
