import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { identify } from '../../launcher/process-identity.ts'
import { waitFor } from '../support/wait-for.ts'
import { testDir } from '../support/work-dir.ts'

const runner = fileURLToPath(new URL('../support/run.ts', import.meta.url))

/** A run below this one; node:test refuses to run in itself unless the mark of it is gone. */
function startRun(args: readonly string[]) {
  const { NODE_TEST_CONTEXT: _mark, ...env } = process.env
  const child = spawn(process.execPath, [runner, ...args], { env, stdio: 'pipe' })
  const output = Promise.all([text(child.stdout), text(child.stderr)]).then((all) => all.join(''))
  return { child, output, ended: once(child, 'exit') }
}

function writeTest(body: string): string {
  const file = join(testDir(), 'sample.test.mjs')
  writeFileSync(file, `import { it } from 'node:test'\nit('sample', async () => {\n${body}\n})\n`)
  return file
}

describe('npm test', () => {
  it('fails when a path matches no test', async () => {
    const { output, ended } = startRun(['test/no-such-folder'])

    assert.deepEqual(await ended, [1, null])
    assert.match(await output, /No test file matches test\/no-such-folder/)
  })

  it('gives the tests a server and a folder, passes their success on, and removes both', async () => {
    const note = join(testDir(), 'note')
    const file = writeTest(`
      const { writeFileSync } = await import('node:fs')
      if (!process.env.TEST_ADMIN_DATABASE_URL) throw new Error('no server')
      writeFileSync(${JSON.stringify(note)}, process.env.TEST_RUN_DIR)`)
    const { output, ended } = startRun([file])

    assert.deepEqual(await ended, [0, null])
    assert.match(await output, /tests 1\n[\s\S]*pass 1\n[\s\S]*fail 0\n/)
    assert.equal(existsSync(readFileSync(note, 'utf8')), false)
  })

  it('passes a failure on', async () => {
    const { output, ended } = startRun([writeTest(`throw new Error('no')`)])

    assert.deepEqual(await ended, [1, null])
    assert.match(await output, /fail 1\n/)
  })

  it('ends everything when it is interrupted', async () => {
    const note = join(testDir(), 'note')
    const file = writeTest(`
      const { writeFileSync } = await import('node:fs')
      writeFileSync(${JSON.stringify(note)}, String(process.pid))
      setInterval(() => {}, 1000)
      await new Promise(() => {})`)
    const { child, ended } = startRun([file])
    await waitFor(() => existsSync(note), { what: 'the test to run', timeoutMs: 30_000 })

    child.kill('SIGINT')

    assert.deepEqual(await ended, [1, null])
    assert.equal(identify(Number(readFileSync(note, 'utf8'))), undefined)
  })
})
