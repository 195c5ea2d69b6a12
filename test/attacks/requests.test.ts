/** Requests that are built to be misread: by headers, by shape, by size, by time. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type InventoryTarget, startInventoryTarget } from './inventory-target.ts'
import { drip, sendLines } from './raw-http.ts'

const orderId = randomUUID()
const reserve = { orderId, round: 1, lines: [{ sku: 'ABC123', quantity: 5 }] }
// biome-ignore lint/suspicious/noExplicitAny: answers are asserted field by field
const json = async (response: Response): Promise<any> => response.json()
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}

describe('a request that is built to be misread', () => {
  let target: InventoryTarget
  before(async () => {
    target = await startInventoryTarget()
  })
  after(() => target[Symbol.asyncDispose]())

  const token = (scope = 'inventory:reserve', order: string | undefined = orderId) =>
    target.forger.sign({
      ...target.forger.claims(target.url, scope),
      ...(order === undefined ? {} : { order_id: order }),
    })
  const call = (name: string, args: unknown, id: unknown = 1) => ({
    ...{ jsonrpc: '2.0', id, method: 'tools/call' },
    params: { name, arguments: args, _meta: meta },
  })
  const postMcp = async (body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${target.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        authorization: `Bearer ${await token()}`,
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const invoke = async (body: string, headers: Record<string, string> = {}) =>
    fetch(`${target.url}/invoke/reserve_stock`, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', authorization: `Bearer ${await token()}` },
        ...headers,
      },
      body,
    })
  const unchanged = async <T>(act: () => Promise<T>): Promise<T> => {
    const before = await target.state()
    const result = await act()
    assert.deepEqual(await target.state(), before)
    return result
  }

  describe('over MCP', () => {
    const mismatches: readonly (readonly [string, Record<string, string>])[] = [
      ['a method in the header that is not the body’s', { 'mcp-method': 'tools/list' }],
      [
        'a tool in the header that is not the body’s',
        { 'mcp-method': 'tools/call', 'mcp-name': 'get_stock' },
      ],
      ['no method in the header', { 'mcp-name': 'reserve_stock' }],
      ['no tool in the header', { 'mcp-method': 'tools/call' }],
    ]
    for (const [what, headers] of mismatches) {
      it(`is refused: ${what}`, async () => {
        const response = await unchanged(() => postMcp(call('reserve_stock', reserve), headers))

        assert.equal(response.status, 400)
        assert.equal((await json(response)).error.code, -32_020)
      })
    }

    it('is refused: a batch, in both eras', async () => {
      const batch = [call('reserve_stock', reserve, 1), call('commit_stock', reserve, 2)]
      const { 'mcp-protocol-version': _version, ...old } = { 'mcp-protocol-version': '2025-03-26' }

      const modern = await unchanged(() => postMcp(batch))
      const legacy = await unchanged(() =>
        postMcp(batch, { 'mcp-protocol-version': '2025-03-26', ...old }),
      )

      assert.deepEqual([modern.status, legacy.status], [400, 400])
      assert.equal((await json(modern)).error.code, -32_600)
    })

    it('is refused: a protocol that does not exist', async () => {
      const headers = {
        'mcp-protocol-version': '2099-01-01',
        'mcp-method': 'tools/call',
        'mcp-name': 'reserve_stock',
      }
      const response = await unchanged(() => postMcp(call('reserve_stock', reserve), headers))

      assert.equal(response.status, 400)
    })

    it('is refused: another site’s page, another host’s name', async () => {
      const origin = await unchanged(() =>
        postMcp(call('reserve_stock', reserve), { origin: 'https://evil.example' }),
      )
      const nullOrigin = await unchanged(() =>
        postMcp(call('reserve_stock', reserve), { origin: 'null' }),
      )
      const host = await sendLines(target.port, [
        ...['POST /mcp HTTP/1.1', 'Host: evil.example', 'Content-Type: application/json'],
        ...['Content-Length: 2', 'Connection: close', '', '{}'],
      ])

      assert.deepEqual([origin.status, nullOrigin.status], [403, 403])
      assert.match(host, /^HTTP\/1\.1 403 /)
    })

    it('is refused: a tool whose name is a prototype’s', async () => {
      for (const name of ['__proto__', 'constructor', 'toString']) {
        const headers = { 'mcp-method': 'tools/call', 'mcp-name': name }
        const response = await unchanged(() => postMcp(call(name, {}), headers))
        const body = await json(response)

        assert.equal(body.error?.code, -32_602, name)
      }
    })

    it('is refused: a tool that is called by another type', async () => {
      for (const name of [['reserve_stock'], { toString: 'reserve_stock' }, 7, null]) {
        const headers = { 'mcp-method': 'tools/call', 'mcp-name': 'reserve_stock' }
        const response = await unchanged(() => postMcp(call(name as never, reserve), headers))

        assert.notEqual((await json(response)).result?.isError, false)
      }
    })
  })

  describe('over the facade', () => {
    it('is refused: a prototype among the arguments', async () => {
      const bodies = [
        `{"__proto__":{"orderId":"${orderId}"},"round":1,"lines":[]}`,
        `{"constructor":{"prototype":{"polluted":1}},${JSON.stringify(reserve).slice(1)}`,
      ]
      for (const body of bodies) {
        const response = await unchanged(() => invoke(body))
        assert.equal(response.status, 400)
      }
      assert.equal(({} as { polluted?: number }).polluted, undefined)
    })

    it('is refused: arguments nested a hundred thousand levels deep', async () => {
      const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
      const response = await unchanged(() => invoke(`{"orderId":${deep},"round":1,"lines":[]}`))

      assert.equal(response.status, 400)
    })

    it('is refused: a body above the limit, and one that is no JSON', async () => {
      const large = await unchanged(() => invoke(`{"note":"${'x'.repeat(300_000)}"}`))
      const broken = await unchanged(() => invoke('{"orderId":'))
      const text = await unchanged(() =>
        invoke(JSON.stringify(reserve), { 'content-type': 'text/plain' }),
      )
      const form = await unchanged(() =>
        invoke('orderId=1', { 'content-type': 'application/x-www-form-urlencoded' }),
      )

      assert.equal((await json(large)).code, 'body_too_large')
      assert.deepEqual([broken.status, text.status, form.status], [400, 415, 415])
    })

    it('is refused: numbers that are none, quantities beyond all stock', async () => {
      const lines = ['1e999', '-1', '0', '1.5', '9007199254740993', '"5"', 'null', 'true']
      for (const quantity of lines) {
        const body = `{"orderId":"${orderId}","round":1,"lines":[{"sku":"ABC123","quantity":${quantity}}]}`
        const response = await unchanged(() => invoke(body))
        assert.deepEqual([response.status, (await json(response)).code], [400, 'invalid_arguments'])
      }
    })

    it('is refused: SQL, paths and templates where ids belong', async () => {
      const skus = [
        `ABC123'; drop table stock; --`,
        '../../etc/passwd',
        '$'.concat('{7*7}'),
        'ABC123\u0000',
        '%00',
      ]
      for (const sku of skus) {
        const body = JSON.stringify({ ...reserve, lines: [{ sku, quantity: 1 }] })
        const response = await unchanged(() => invoke(body))
        assert.deepEqual([response.status, (await json(response)).code], [400, 'invalid_arguments'])
      }
    })

    it('is refused: a tool that is reached by a path', async () => {
      const paths = [
        '/invoke/../metrics',
        '/invoke/reserve_stock%2f..%2fset_stock',
        '/invoke/__proto__',
        '/invoke/%00',
      ]
      for (const path of paths) {
        const response = await unchanged(async () =>
          fetch(`${target.url}${path}`, {
            ...{ method: 'POST', body: '{}' },
            headers: {
              'content-type': 'application/json',
              authorization: `Bearer ${await token()}`,
            },
          }),
        )
        assert.ok([400, 404].includes(response.status), `${path}: ${response.status}`)
      }
    })

    it('calls the tool of the envelope by the scope of that tool', async () => {
      const response = await unchanged(async () =>
        fetch(`${target.url}/invoke`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            authorization: `Bearer ${await token('inventory:read', undefined)}`,
            'mcp-name': 'get_stock',
          },
          body: JSON.stringify({ tool: 'reserve_stock', arguments: reserve }),
        }),
      )

      assert.deepEqual([response.status, (await json(response)).code], [403, 'insufficient_scope'])
    })
  })

  describe('on the wire', () => {
    it('is refused: a length and chunks at once', async () => {
      const answer = await unchanged(() =>
        sendLines(target.port, [
          ...['POST /invoke/reserve_stock HTTP/1.1', `Host: 127.0.0.1:${target.port}`],
          ...[
            'Content-Type: application/json',
            'Content-Length: 4',
            'Transfer-Encoding: chunked',
            '',
          ],
          ...['0', '', 'GET /metrics HTTP/1.1', 'Host: x', '', ''],
        ]),
      )

      assert.match(answer, /^HTTP\/1\.1 400 /)
      assert.doesNotMatch(answer, /claude_tokens_total/)
    })

    it('is refused: two lengths, a space before the colon, a bare line feed', async () => {
      const start = ['POST /mcp HTTP/1.1', `Host: 127.0.0.1:${target.port}`]
      const answers = [
        await sendLines(target.port, [
          ...start,
          'Content-Length: 2',
          'Content-Length: 5',
          '',
          '{}',
        ]),
        await sendLines(target.port, [...start, 'Content-Length : 2', '', '{}']),
        await sendLines(target.port, [
          ...start,
          'Transfer-Encoding: chunked\nContent-Length: 5',
          '',
          '0',
          '',
          '',
        ]),
        await sendLines(target.port, [...start, 'Transfer-Encoding: xchunked', '', '0', '', '']),
      ]

      for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 4(00|01|03|11) /)
    })

    it('is refused: headers of a hundred thousand bytes', async () => {
      const answer = await sendLines(target.port, [
        ...['GET /tools HTTP/1.1', `Host: 127.0.0.1:${target.port}`],
        ...[`X-Long: ${'x'.repeat(100_000)}`, '', ''],
      ])

      assert.match(answer, /^HTTP\/1\.1 431 /)
    })

    it('is refused: two Hosts, and none', async () => {
      const two = await sendLines(target.port, [
        'GET /tools HTTP/1.1',
        'Host: a',
        'Host: b',
        'Connection: close',
        '',
        '',
      ])
      const none = await sendLines(target.port, [
        'GET /tools HTTP/1.1',
        'Connection: close',
        '',
        '',
      ])

      assert.match(two, /^HTTP\/1\.1 40[01] /)
      assert.match(none, /^HTTP\/1\.1 400 /)
    })

    it('is cut off: headers that come a byte at a time', async () => {
      const headers = await drip(target.port, 'GET /tools HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ')
      const body = await drip(
        target.port,
        'POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\nContent-Ty',
      )

      for (const answer of [headers, body]) assert.match(answer, /^(HTTP\/1\.1 408 |$)/)
    })
  })

  it('has every answer say what a browser may not do', async () => {
    for (const path of ['/healthz', '/tools', '/nowhere', '/mcp']) {
      const { headers } = await fetch(`${target.url}${path}`)

      assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
      assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/, path)
      assert.equal(headers.get('access-control-allow-origin'), null, path)
      assert.equal(headers.get('x-powered-by'), null, path)
    }
  })
})
