import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import pg from 'pg'
import {
  type EmbeddedPostgres,
  findRunningPostgres,
  startEmbeddedPostgres,
  stopLeftoverPostgres,
} from '../../launcher/embedded-postgres.ts'
import { freePort } from '../support/free-port.ts'
import { waitFor } from '../support/wait-for.ts'
import { testDir } from '../support/work-dir.ts'

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const newDataDir = (): string => join(testDir(), 'postgres')

async function start(dataDir: string, port?: number): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir, port: port ?? (await freePort()), durable: false })
}

async function refuses(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

describe('the embedded Postgres', () => {
  it('makes a server on loopback only, whose settings are ours', async () => {
    const port = await freePort()
    const server = await startEmbeddedPostgres({ dataDir: newDataDir(), port })

    const settings = await query(
      server.adminUrl,
      `select name, setting from pg_settings
        where name in ('listen_addresses', 'unix_socket_directories', 'max_connections',
                       'fsync', 'port', 'server_version')
        order by name`,
    )
    assert.deepEqual(
      settings.filter(({ name }) => name !== 'server_version').map((row) => Object.values(row)),
      [
        ['fsync', 'on'],
        ['listen_addresses', '127.0.0.1'],
        ['max_connections', '200'],
        ['port', String(port)],
        ['unix_socket_directories', ''],
      ],
    )
    assert.match(String(settings.find(({ name }) => name === 'server_version')?.setting), /^17\./)
    assert.equal(server.adopted, false)
    await server.stop()
  })

  it('stops, and keeps its data for the next start', async () => {
    const dataDir = newDataDir()
    const first = await start(dataDir)
    await query(first.adminUrl, 'create table kept as select 42 as answer')
    await first.stop()
    await first.stop()
    assert.equal(await refuses(first.port), true)
    assert.equal(findRunningPostgres(dataDir), undefined)

    const second = await start(dataDir)

    assert.equal(second.adopted, false)
    assert.deepEqual(await query(second.adminUrl, 'select answer from kept'), [{ answer: 42 }])
    await second.stop()
  })

  it('lets nobody in without the password, which only its owner can read', async () => {
    const dataDir = newDataDir()
    const server = await start(dataDir)
    const file = join(dataDir, 'admin-password')

    const wrong = server.adminUrl.replace(readFileSync(file, 'utf8').trim(), 'guess')

    await assert.rejects(query(wrong, 'select 1'), { code: '28P01' })
    assert.equal(statSync(file).mode & 0o777, 0o600)
    await server.stop()
  })

  it('is adopted with the port it has when its launcher was killed', async () => {
    const dataDir = newDataDir()
    const first = await start(dataDir)

    const second = await start(dataDir, await freePort())

    assert.equal(second.adopted, true)
    assert.deepEqual([second.pid, second.port], [first.pid, first.port])
    assert.deepEqual(findRunningPostgres(dataDir), { pid: first.pid, port: first.port })
    await second.stop()
    assert.equal(await refuses(first.port), true)
  })

  it('is started again, with all that was committed, after a kill -9 of itself', async () => {
    const dataDir = newDataDir()
    const port = await freePort()
    const first = await startEmbeddedPostgres({ dataDir, port })
    await query(first.adminUrl, 'create table kept as select 42 as answer')
    process.kill(first.pid, 'SIGKILL')
    await waitFor(() => findRunningPostgres(dataDir) === undefined, { what: 'the end of Postgres' })

    const second = await start(dataDir, port)

    assert.equal(second.adopted, false)
    assert.notEqual(second.pid, first.pid)
    assert.deepEqual(await query(second.adminUrl, 'select answer from kept'), [{ answer: 42 }])
    await second.stop()
  })

  it('does not mistake a stranger with the pid of its last run for itself', async () => {
    const dataDir = newDataDir()
    const first = await start(dataDir)
    const pidFile = join(dataDir, 'files', 'cluster', 'postmaster.pid')
    const lines = readFileSync(pidFile, 'utf8').split('\n')
    await first.stop()
    writeFileSync(pidFile, [process.pid, ...lines.slice(1)].join('\n'))
    assert.equal(findRunningPostgres(dataDir), undefined)

    const second = await start(dataDir)

    assert.equal(second.adopted, false)
    await second.stop()
  })

  it('makes its files anew when the first attempt was cut off', async () => {
    const dataDir = newDataDir()
    const first = await start(dataDir)
    await first.stop()
    const cluster = join(dataDir, 'files', 'cluster')
    rmSync(cluster, { recursive: true })
    const halfMade = `${cluster}.new`
    writeFileSync(halfMade, 'left by a crash')

    const second = await start(dataDir)

    assert.deepEqual(await query(second.adminUrl, 'select 1 as one'), [{ one: 1 }])
    await second.stop()
  })

  it('says why it does not start', async () => {
    const blocker = createServer().listen(0, '127.0.0.1')
    await once(blocker, 'listening')
    const { port } = blocker.address() as { port: number }

    await assert.rejects(start(newDataDir(), port), {
      code: 'postgres_unusable',
      message: /Address already in use/,
    })
    blocker.close()
  })

  it('that a killed launcher left running can be stopped without starting anything', async () => {
    const dataDir = newDataDir()
    const server = await start(dataDir)

    assert.equal(await stopLeftoverPostgres(dataDir), true)
    assert.equal(await stopLeftoverPostgres(dataDir), false)
    assert.equal(await refuses(server.port), true)
  })
})
