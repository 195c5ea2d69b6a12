/** One order, one trace: across four processes, and across the death of one of them. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { attribute } from '../../platform/trace-attributes.ts'
import { newTraceId } from '../../platform/tracing.ts'
import { type OtlpReceiver, otlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.ts'
import { waitFor } from '../support/wait-for.ts'
import { get, postOrder } from './client.ts'
import { startTestPlatform, type TestPlatform } from './platform.ts'

const canary = 'Canary'
const order = {
  ...{ sku: 'ABC123', qty: 1, customer: 'Ada Li', note: `Ring twice for ${canary}` },
  shipTo: {
    ...{ name: `Ada ${canary}`, street1: `9 ${canary} Road`, city: 'Austin' },
    ...{ region: 'TX', postalCode: '78701', country: 'US' },
  },
}
const personal = new RegExp(`${canary}|Ada|Austin|Bearer`)
const ordinary = { sku: 'ABC123', qty: 1, customer: 'John Doe' }
const takeOverMs = 20_000
const services = ['orchestrator', 'orchestrator-2', 'order', 'inventory', 'fulfillment']

describe('the trace of an order', () => {
  let receiver: OtlpReceiver
  let t: TestPlatform
  let first = ''
  let second = ''

  before(async () => {
    receiver = await otlpReceiver()
    const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }
    t = await startTestPlatform(22_300, {
      orchestrators: 2,
      env: {
        ...Object.fromEntries(services.map((name) => [name, traced])),
        'claude-standin': { LATENCY_OPUS_MS: '800' },
      },
    })
    first = t.platform.urls.orchestrator
    second = t.platform.urls['orchestrator-2'] ?? ''
  })
  after(async () => {
    await t?.[Symbol.asyncDispose]()
    await receiver[Symbol.asyncDispose]()
  })

  const spansOf = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId)
  const one = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
    const [found, ...more] = spans.filter((span) => span.name === name)
    assert.ok(found !== undefined && more.length === 0, `not one span ${name}`)
    return found
  }
  /** Spans are sent once a second: an order's are there when its last step is, and what is beneath it. */
  async function allSpans(traceId: string): Promise<readonly ReceivedSpan[]> {
    await waitFor(
      () => {
        const spans = spansOf(traceId)
        const served = spans.find(
          ({ name, kind }) => name === 'tools/call close_order' && kind === 2,
        )
        const http = spans.some(({ name }) => name === 'POST /orchestrate')
        return http && served && parentsOf(spans, served).some(({ name }) => /^start /.test(name))
      },
      { what: `all spans of ${traceId}`, timeoutMs: takeOverMs },
    )
    return spansOf(traceId)
  }
  function parentsOf(spans: readonly ReceivedSpan[], child: ReceivedSpan): ReceivedSpan[] {
    const parent = spans.find(({ spanId }) => spanId === child.parentSpanId)
    return parent === undefined ? [] : [parent, ...parentsOf(spans, parent)]
  }
  const isSql = ({ attributes }: ReceivedSpan) => attributes[attribute.dbSystem] !== undefined
  const below = (span: ReceivedSpan) => receiver.childrenOf(span).filter((child) => !isSql(child))

  /** Spans beneath one, as indented lines; those beside one another in order of their names. */
  function tree(span: ReceivedSpan, indent = ''): string[] {
    const children = below(span).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const line = `${indent}${span.service}: ${span.name}`
    return [line, ...children.flatMap((child) => tree(child, `${indent}  `))]
  }

  it('goes from HTTP through steps, tools and agents to model calls and SQL', async () => {
    const traceId = newTraceId()
    const outside = '00f067aa0ba902b7'

    const { body } = await postOrder(first, order, { traceparent: `00-${traceId}-${outside}-01` })
    const spans = await allSpans(traceId)

    assert.deepEqual([body.status, body.traceId], ['fulfilled', traceId])
    const http = one(spans, 'POST /orchestrate')
    assert.equal(http.parentSpanId, outside)
    const known = new Set([outside, ...spans.map(({ spanId }) => spanId)])
    assert.ok(
      spans.every(({ parentSpanId }) => known.has(parentSpanId)),
      'a span has no parent',
    )
    const start = one(below(http), 'start fulfill_order')
    const steps = below(start)
    const names = steps.map(({ name }) => name.replace('step ', ''))
    assert.deepEqual(names.slice(0, 2), ['open', 'plan'])
    assert.deepEqual(names.slice(2, 6).toSorted(), [
      'check_inventory',
      'prepare_decision',
      'propose_shipment',
      'validate_order',
    ])
    assert.deepEqual(names.slice(6), [
      'reserve_stock',
      'decide',
      'pivot',
      'generate_label',
      'commit_stock',
      'close_order',
    ])
    assert.deepEqual(tree(one(steps, 'step open')), [
      'orchestrator: step open',
      '  orchestrator: tools/call get_stock',
      '    inventory: tools/call get_stock',
      '  orchestrator: tools/call open_order',
      '    order: tools/call open_order',
    ])
    assert.deepEqual(tree(one(steps, 'step propose_shipment')), [
      'orchestrator: step propose_shipment',
      '  orchestrator: tools/call propose_shipment',
      '    fulfillment: tools/call propose_shipment',
      '      fulfillment: invoke_agent propose_shipment',
      '        fulfillment: agent_turn',
      '          fulfillment: chat claude-opus-5-5',
      '        fulfillment: agent_turn',
      '          fulfillment: chat claude-opus-5-5',
      '        fulfillment: execute_tool check_address',
      '        fulfillment: execute_tool quote_rates',
    ])
    assert.deepEqual(tree(one(steps, 'step decide')), [
      'orchestrator: step decide',
      '  orchestrator: invoke_agent decide',
      '    orchestrator: agent_turn',
      '      orchestrator: chat claude-opus-5-5',
      '    orchestrator: execute_tool get_order_facts',
      '    orchestrator: execute_tool get_proposals',
      '    orchestrator: execute_tool get_reservation',
    ])
    assertCalls(spans, body.orderId)
  })

  function assertCalls(spans: readonly ReceivedSpan[], orderId: string): void {
    const served = spans.filter(({ name, kind }) => name.startsWith('tools/call') && kind === 2)
    assert.deepEqual(
      new Set(served.map(({ service }) => service)),
      new Set(['order', 'inventory', 'fulfillment']),
    )
    for (const span of served) {
      const { name, attributes } = span
      const called = spans.find(({ spanId }) => spanId === span.parentSpanId)
      assert.deepEqual([called?.name, called?.kind, called?.service], [name, 3, 'orchestrator'])
      assert.equal(attributes[attribute.mcpMethod], 'tools/call')
      assert.ok(name.endsWith('get_stock') || attributes[attribute.orderId] === orderId, name)
    }
    for (const { name, attributes } of spans.filter((span) => span.name.startsWith('chat '))) {
      assert.equal(name, `chat ${attributes[attribute.genAiRequestModel]}`)
      assert.ok(Number(attributes[attribute.genAiInputTokens]) > 0)
      assert.ok(Number(attributes[attribute.genAiOutputTokens]) > 0)
      assert.equal(attributes[attribute.claudeMode], 'standin')
    }
    const reserved = served.find(({ name }) => name === 'tools/call reserve_stock')
    assert.ok(reserved)
    const sql = receiver.childrenOf(reserved).filter(isSql)
    const texts = sql.map(({ attributes }) => attributes[attribute.dbQuery])
    assert.ok(
      texts.some((text) => /^insert into reservation /.test(String(text))),
      texts.join('; '),
    )
    assert.ok(sql.every(({ kind, service }) => kind === 3 && service === 'inventory'))
  }

  it('holds no word of the customer, and only names of the one file', () => {
    for (const body of receiver.bodies) assert.doesNotMatch(body, personal)
    const known = new Set<string>(Object.values(attribute))
    const said = new Set(receiver.spans.flatMap(({ attributes }) => Object.keys(attributes)))
    assert.deepEqual(
      [...said].filter((name) => !known.has(name)),
      [],
    )
  })

  it('is named by every log line about the order', async () => {
    const { body } = await postOrder(first, ordinary)
    const lines = t.logs.filter((line) => line.includes(body.orderId))
    assert.ok(lines.length > 5)
    for (const line of lines) assert.ok(line.includes(`"traceId":"${body.traceId}"`), line)
  })

  it('goes on where another process takes the order up, and links to where it began', async () => {
    const { body } = await postOrder(first, ordinary, { prefer: 'wait=0' })
    const { orderId, traceId } = body
    const isOpen = () => spansOf(traceId).some(({ name }) => name === 'step open')
    await waitFor(isOpen, { what: 'the first step' })
    await t.platform.kill('orchestrator')
    const ended = await waitFor(
      async () => {
        const { body: now } = await get(`${second}/orders/${orderId}`)
        return now.status !== 'running' && now
      },
      { what: 'the end of the order', timeoutMs: takeOverMs },
    )
    assert.deepEqual([ended.status, ended.traceId], ['fulfilled', traceId])
    const spans = await allSpans(traceId)

    const start = one(spans, 'start fulfill_order')
    const opened = one(spans, 'step open')
    assert.deepEqual([opened.parentSpanId, opened.instance], [start.spanId, start.instance])
    const recovery = one(spans, 'recover run')
    assert.notEqual(recovery.instance, start.instance)
    assert.equal(recovery.parentSpanId, start.spanId)
    assert.deepEqual(
      recovery.links.map((link) => [link.traceId, link.spanId]),
      [[traceId, start.spanId]],
    )
    const steps = below(recovery)
    assert.ok(steps.every(({ instance }) => instance === recovery.instance))
    // What is on record is replayed, and a replay is no span.
    assert.ok(!steps.some(({ name }) => name === 'step open'))
    assert.equal(steps.at(-1)?.name, 'step close_order')
    const closed = tree(one(steps, 'step close_order'))
    assert.deepEqual(closed.slice(1), [
      '  orchestrator: tools/call close_order',
      '    order: tools/call close_order',
    ])
  })
})
