import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { dataPaths } from '../../launcher/data-dir.ts'
import { findRunningPostgres } from '../../launcher/embedded-postgres.ts'
import { type Platform, type PlatformOptions, startPlatform } from '../../launcher/platform.ts'
import { identify } from '../../launcher/process-identity.ts'
import { waitFor } from '../support/wait-for.ts'
import { testDir } from '../support/work-dir.ts'
import { fakeSpecs } from './fakes/specs.ts'

// Below the range from which the system picks ports for connections; one block for each test.
let nextOffset = 21_000
const newOffset = () => {
  nextOffset += 100
  return nextOffset
}

function newOptions(portOffset = newOffset()): PlatformOptions & { portOffset: number } {
  return {
    dataDir: testDir(),
    portOffset,
    durable: false,
    claude: { mode: 'standin' },
    specs: fakeSpecs(portOffset),
  }
}

async function envOf(platform: Platform, name: string): Promise<Record<string, string>> {
  const answer = await fetch(`${platform.urls[name]}/env`)
  return (await answer.json()) as Record<string, string>
}

const isAlive = (pid: number): boolean => identify(pid) !== undefined

describe('the platform', () => {
  it('starts every process with the environment it needs, and stops without a trace', async () => {
    const lines: string[] = []
    const said: string[] = []
    const options = newOptions()
    const platform = await startPlatform({
      ...options,
      env: { red: { EXTRA: 'more' } },
      onLine: (name, line) => lines.push(`${name} ${line}`),
      say: (message) => said.push(message),
    })
    const pids = platform.processes.map(({ pid }) => pid)
    const red = await envOf(platform, 'red')
    const blue = await envOf(platform, 'blue')
    const { DATABASE_URL = '', KEY_ENCRYPTION_KEY_FILE = '' } = blue

    assert.deepEqual(
      platform.processes.map(({ name }) => name),
      ['red', 'blue'],
    )
    assert.equal(red.EXTRA, 'more')
    assert.equal(DATABASE_URL, platform.databaseUrls.orders)
    assert.equal(Buffer.from(readFileSync(KEY_ENCRYPTION_KEY_FILE, 'utf8'), 'base64').length, 32)
    assert.ok(lines.some((line) => line.startsWith('red {') && line.includes('starting')))
    assert.ok(said.some((message) => message.startsWith('blue is ready')))

    await Promise.all([platform.stop(), platform.stop()])

    assert.deepEqual(pids.filter(isAlive), [])
    assert.deepEqual(platform.processes, [])
    const paths = dataPaths(options.dataDir)
    assert.equal(findRunningPostgres(paths.postgres), undefined)
    assert.equal(existsSync(paths.lock) || existsSync(paths.processes), false)
    const secrets = [DATABASE_URL, new URL(DATABASE_URL).password]
    assert.ok(secrets.every((secret) => !said.join('\n').includes(secret)))
  })

  it('keeps data, passwords and key for the next start', async () => {
    const options = newOptions()
    const keyFile = `${dataPaths(options.dataDir).secrets}/key-encryption-key`
    const first = await startPlatform(options)
    const key = readFileSync(keyFile, 'utf8')
    await first.stop()

    const second = await startPlatform(options)

    assert.deepEqual(second.databaseUrls, first.databaseUrls)
    assert.equal(readFileSync(keyFile, 'utf8'), key)
    await second.stop()
  })

  it('closes the server of its own to its roles, but for their databases', async () => {
    const platform = await startPlatform(newOptions())
    const url = new URL(platform.databaseUrls.orders)
    for (const database of ['postgres', 'template1', 'inventory', 'fulfillment', 'orchestrator']) {
      url.pathname = `/${database}`
      const client = new pg.Client({ connectionString: url.href })
      await assert.rejects(client.connect(), { code: '42501' })
    }
    await platform.stop()
  })

  it('refuses a second launcher on the same data dir', async () => {
    const options = newOptions()
    const platform = await startPlatform(options)

    await assert.rejects(startPlatform({ ...options, portOffset: newOffset() }), {
      code: 'data_dir_locked',
    })

    await platform.stop()
  })

  it('starts nothing when a port is busy', async () => {
    const options = newOptions()
    const port = 3001 + options.portOffset
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')

    await assert.rejects(startPlatform(options), {
      code: 'port_busy',
      message: new RegExp(`${port} \\(blue\\).*PORT_OFFSET`),
    })

    assert.equal(existsSync(dataPaths(options.dataDir).postgres), false)
    assert.equal(existsSync(dataPaths(options.dataDir).lock), false)
    other.close()
  })

  it('shows the last lines of a process that ends before it is ready, and leaves nothing', async () => {
    const options = newOptions()

    const start = startPlatform({ ...options, env: { blue: { FAKE: 'broken' } } })

    await assert.rejects(start, {
      code: 'process_not_ready',
      message: /blue ended with code 3[\s\S]*DATABASE_URL: required/,
    })
    assert.equal(findRunningPostgres(dataPaths(options.dataDir).postgres), undefined)
    assert.equal(existsSync(dataPaths(options.dataDir).processes), false)
  })

  it('can be interrupted while it starts', async () => {
    const options = newOptions()
    const interrupt = new AbortController()
    const start = startPlatform({
      ...options,
      env: { blue: { FAKE: 'unready' } },
      signal: interrupt.signal,
      say: (message) => message.startsWith('red is ready') && interrupt.abort(),
    })

    await assert.rejects(start, { name: 'AbortError' })

    assert.equal(findRunningPostgres(dataPaths(options.dataDir).postgres), undefined)
  })

  it('kills and starts one process for a test, on the same port', async () => {
    const platform = await startPlatform(newOptions())
    const pidOf = (name: string) => platform.processes.find((p) => p.name === name)?.pid
    const before = pidOf('red')

    await platform.kill('red')
    assert.equal(pidOf('red'), undefined)
    await assert.rejects(fetch(`${platform.urls.red}/env`))
    await platform.start('red')

    assert.notEqual(pidOf('red'), before)
    assert.equal((await fetch(`${platform.urls.red}/env`)).status, 200)
    await assert.rejects(platform.kill('green'), { code: 'unknown_process' })
    await platform.stop()
  })

  it('reports a crash when it restarts nothing', async () => {
    const platform = await startPlatform(newOptions())

    await fetch(`${platform.urls.red}/crash`).catch(() => {})

    const { name, code } = await platform.exited
    assert.deepEqual([name, code], ['red', 7])
    await platform.stop()
  })

  it('restarts a process that crashed, says so, and gives up after the last restart', async () => {
    const said: string[] = []
    const options = { ...newOptions(), restartsMax: 2, say: (m: string) => said.push(m) }
    const platform = await startPlatform(options)
    for (let crash = 1; crash <= 3; crash += 1) {
      // Until the next one listens the last one may still answer, by dying once more.
      const started = () => said.filter((message) => message.startsWith('red is ready')).length
      await waitFor(() => started() === crash, { what: `start ${crash} of red` })
      await fetch(`${platform.urls.red}/crash`).catch(() => {})
    }

    assert.equal((await platform.exited).name, 'red')
    const restarts = said.filter((message) => message.includes('restart'))
    assert.equal(restarts.length, 2)
    assert.match(restarts[0] ?? '', /red ended with code 7[\s\S]*restart 1 of 2 in 0.5 s/)
    assert.deepEqual(
      platform.processes.map(({ name }) => name),
      ['blue'],
    )
    await platform.stop()
  })

  it('kills what does not end in time', async () => {
    const platform = await startPlatform({ ...newOptions(), env: { red: { FAKE: 'stubborn' } } })
    const [red] = platform.processes

    await platform.stop(200)

    assert.equal(isAlive(red?.pid ?? 0), false)
  })

  it('starts after a kill -9 of the last launcher, whose leftovers it ends', async () => {
    const options = newOptions()
    const main = fileURLToPath(new URL('fakes/launcher.ts', import.meta.url))
    const args = [main, options.dataDir, String(options.portOffset)]
    const launcher = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(launcher.stdout, 'data')
    const records = JSON.parse(readFileSync(dataPaths(options.dataDir).processes, 'utf8'))
    const pids = (records as { pid: number }[]).map(({ pid }) => pid)
    const server = findRunningPostgres(dataPaths(options.dataDir).postgres)
    launcher.kill('SIGKILL')
    await once(launcher, 'exit')
    assert.equal(pids.length, 2)
    assert.ok(pids.every(isAlive))

    const platform = await startPlatform(options)

    assert.deepEqual(pids.filter(isAlive), [])
    assert.equal(platform.postgres?.adopted, true)
    assert.equal(platform.postgres?.pid, server?.pid)
    await platform.stop()
    assert.equal(findRunningPostgres(dataPaths(options.dataDir).postgres), undefined)
  })
})
