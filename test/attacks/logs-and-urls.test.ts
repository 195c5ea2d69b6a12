/** Words that would forge a log line, and addresses that would send us elsewhere. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createHttpProcess } from '../../platform/service.ts'
import { createCarrierClient } from '../../services/fulfillment/carrier-client.ts'
import { sendLines } from './raw-http.ts'

const forged = '{"level":"info","msg":"paid","orderId":"x"}'

describe('words of a stranger in the log', () => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const { app } = createHttpProcess({
    log: createLog('test', 'debug', destination),
    metrics: createMetrics('test'),
    checkReady: async () => {},
  })
  let port = 0

  before(async () => {
    port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
  })
  after(() => app.close())

  it('stay in one line of their own, whatever they hold', async () => {
    const before = lines.length
    const paths = [
      `/x%0a${encodeURIComponent(forged)}`,
      `/x%0d%0a${encodeURIComponent(forged)}`,
      `/x%e2%80%a8${encodeURIComponent(forged)}`,
      '/x%1b%5b2J',
    ]
    for (const path of paths) {
      await sendLines(port, [
        ...[`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', `traceparent: ${forged}`],
        ...['Connection: close', '', ''],
      ])
    }

    const written = lines.slice(before)
    assert.ok(written.length >= paths.length)
    for (const line of written) {
      assert.equal(line.trimEnd().split(/[\r\n]/).length, 1)
      assert.notEqual((JSON.parse(line) as { msg: string }).msg, 'paid')
    }
  })
})

describe('the address of a label', () => {
  const client = createCarrierClient({
    url: 'http://127.0.0.1:1',
    apiKey: 'key',
    labelOrigins: ['https://labels.example'],
    warehouse: {} as never,
    timeoutMs: 1_000,
    retry: { attemptsMax: 1, backoffMinMs: 1, backoffMaxMs: 1 },
  })
  const elsewhere = [
    'http://169.254.169.254/latest/meta-data/',
    'http://127.0.0.1:5432/',
    'http://localhost:1/label.pdf',
    'http://labels.example/label.pdf',
    'https://labels.example:8443/label.pdf',
    'https://labels.example.evil.example/label.pdf',
    'https://labels.example@evil.example/label.pdf',
    'https://[::1]/label.pdf',
    'file:///etc/passwd',
    'data:application/pdf,%25PDF',
    'not an address',
  ]
  for (const url of elsewhere) {
    it(`is not followed elsewhere: ${url}`, async () => {
      await assert.rejects(client.downloadLabel(url), { code: 'label_host_refused' })
    })
  }

  it('is followed to the carrier itself', async () => {
    const there = `http://127.0.0.1:1/${randomUUID()}.pdf`

    await assert.rejects(client.downloadLabel(there), { code: 'carrier_unavailable' })
  })
})
