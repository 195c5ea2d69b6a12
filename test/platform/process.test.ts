import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { freePort } from '../support/free-port.ts'

/** Runs a process whose start is this code; `pool` and `listen` are there for it. */
async function started(start: string): Promise<{ code: number; stderr: string }> {
  const platform = new URL('../../platform/', import.meta.url)
  const source = `
    import { createServer } from 'node:net'
    import { z } from 'zod'
    import { createPool } from '${platform}db.ts'
    import { createLog } from '${platform}log.ts'
    import { runProcess } from '${platform}process.ts'
    const pool = (url) => createPool(url, 1, createLog('test', 'silent'))
    const listen = (port) => new Promise((_, reject) => createServer().on('error', reject).listen(port, '127.0.0.1'))
    await runProcess(z.object({}), {}, async () => { ${start} })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source])
  const [stderr, code] = await Promise.all([
    text(child.stderr),
    new Promise<number>((resolve) => child.once('close', resolve)),
  ])
  return { code, stderr }
}

describe('a process that cannot start', () => {
  it('says in one line that its database is away, and what to check', async () => {
    const url = `postgres://localhost:${await freePort()}/none`
    const { code, stderr } = await started(`await pool('${url}').query('select 1')`)

    assert.equal(code, 1)
    assert.match(stderr, /^Cannot start: .*ECONNREFUSED.*Check DATABASE_URL.*\n$/)
  })

  it('says in one line what Postgres refuses', async () => {
    const url = new URL(String(process.env.TEST_ADMIN_DATABASE_URL))
    url.pathname = '/no_such_database'
    const { code, stderr } = await started(`await pool('${url}').query('select 1')`)

    assert.equal(code, 1)
    assert.match(stderr, /^Cannot start: database "no_such_database" .*Check DATABASE_URL.*\n$/)
  })

  it('says that its port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const { code, stderr } = await started(`await listen(${port})`)
    server.close()

    assert.equal(code, 1)
    assert.match(stderr, /^Cannot start: .*EADDRINUSE.*Check HOST and PORT.*\n$/)
  })

  it('says in one line what an error of its own says, and shows where a bug is', async () => {
    const own = await started(`throw new Error('KEY_ENCRYPTION_KEY must be 32 bytes')`)
    const bug = await started('undefined.length')

    assert.deepEqual(own, {
      code: 1,
      stderr: 'Cannot start: KEY_ENCRYPTION_KEY must be 32 bytes.\n',
    })
    assert.equal(bug.code, 1)
    assert.match(bug.stderr, /^Cannot start: TypeError: .*\n\s+at /)
  })
})
