import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { basic, type Json, KEY, parcelTo } from './support.ts'

const MAIN = join(import.meta.dirname, '../../../standins/carrier/main.ts')

describe('the process', () => {
  let directory: string

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'carrier-process-'))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  const start = (env: Record<string, string>): ChildProcess =>
    spawn(process.execPath, [MAIN], {
      env: { PATH: process.env.PATH, PORT: '0', DATA_FILE: join(directory, 'book.jsonl'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })

  /** Reads the log until the line that gives the url. */
  const listening = async (child: ChildProcess): Promise<{ url: string; log: Json[] }> => {
    assert.ok(child.stdout)
    const log: Json[] = []
    for await (const [line] of on(createInterface(child.stdout), 'line')) {
      log.push(JSON.parse(line))
      if (log.at(-1).url) break
    }
    return { url: log.at(-1).url, log }
  }

  const post = async (url: string, body: object) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: basic(KEY), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return (await response.json()) as Json
  }

  it('says that it is a stand-in, keeps its book when killed, and stops when asked', async () => {
    const first = start({ PUBLIC_URL: 'https://labels.test/' })
    const { url, log } = await listening(first)
    assert.equal(log.length, 1)
    assert.match(log[0].msg, /carrier stand-in/)
    const shipment = await post(`${url}/v2/shipments`, parcelTo())
    const rate = { id: shipment.rates[0].id }
    const bought = await post(`${url}/v2/shipments/${shipment.id}/buy`, { rate })
    assert.match(bought.postage_label.label_url, /^https:\/\/labels\.test\/labels\//)
    first.kill('SIGKILL')
    await once(first, 'exit')
    await appendFile(join(directory, 'book.jsonl'), '{"event":"refund_subm')

    const second = start({})
    const next = await listening(second)
    assert.match(next.log[0].msg, /torn last line/)
    assert.equal(next.log[0].tornBytes, 21)
    const again = await post(`${next.url}/v2/shipments/${shipment.id}/buy`, { rate })
    assert.equal(again.error.code, 'SHIPMENT.POSTAGE.EXISTS')
    second.kill('SIGTERM')
    const [code] = await once(second, 'exit')
    assert.equal(code, 0)
  })

  it('names every problem of its configuration and ends', async () => {
    const child = start({ PORT: 'many', LOG_LEVEL: 'loud', FAULTS: '[{' })
    let text = ''
    child.stderr?.on('data', (chunk) => {
      text += chunk
    })

    const [code] = await once(child, 'close')

    assert.equal(code, 1)
    for (const name of ['PORT', 'LOG_LEVEL', 'FAULTS'])
      assert.match(text, new RegExp(`  ${name}: `))
  })
})
