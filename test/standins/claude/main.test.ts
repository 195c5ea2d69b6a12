import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../../standins/claude/main.ts', import.meta.url))

describe('the process of the stand-in', () => {
  it('says in one JSON line where it listens and that it is no model, and stops on SIGTERM', async () => {
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env.PATH, PORT: '0', LATENCY_OPUS_MS: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: string[] = []
    const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    await once(output, 'line')
    const line = JSON.parse(lines[0] ?? '')
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line.msg)?.[0]

    assert.equal(line.standin, true)
    assert.match(line.msg, /not a model/)
    assert.equal((await fetch(`${url}/healthz`)).status, 200)

    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
    assert.equal(lines.length, 1)
  })

  it('plays the personas that its environment names', async () => {
    const env = { PATH: process.env.PATH, PORT: '0', PERSONAS: '{"liar":1,"honest":2}' }
    const child = spawn(process.execPath, [main], {
      env: { ...env, PERSONA_SEED: '7' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    const { mix, seed } = (await (await fetch(`${url}/personas`)).json()) as Record<string, unknown>
    child.kill('SIGTERM')
    await once(child, 'exit')

    assert.deepEqual({ mix, seed }, { mix: { liar: 1, honest: 2 }, seed: 7 })
  })

  it('reports every bad setting at once and exits with 1', async () => {
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env.PATH, PORT: 'ninety', LATENCY_OPUS_MS: '-1', PERSONAS: '{' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (chunk) => {
      errors += chunk
    })
    const [code] = await once(child, 'close')

    assert.equal(code, 1)
    assert.match(errors, /PORT[\s\S]*LATENCY_OPUS_MS[\s\S]*PERSONAS/)
  })
})
