import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { clearData } from '../../launcher/clear-data.ts'
import { dataPaths, lockDataDir } from '../../launcher/data-dir.ts'
import { startEmbeddedPostgres } from '../../launcher/embedded-postgres.ts'
import { identify } from '../../launcher/process-identity.ts'
import { freePort } from '../support/free-port.ts'
import { testDir } from '../support/work-dir.ts'

describe('a data dir', () => {
  it('belongs to one launcher at a time, and the refusal says whom to stop', () => {
    const paths = dataPaths(testDir())
    const unlock = lockDataDir(paths)

    assert.throws(() => lockDataDir(paths), {
      code: 'data_dir_locked',
      message: new RegExp(`process ${process.pid}\\).*DATA_DIR`),
    })

    unlock()
    lockDataDir(paths)()
    assert.equal(existsSync(paths.lock), false)
  })

  it('is taken over from a launcher that was killed', () => {
    const paths = dataPaths(testDir())
    const stale = { pid: process.pid, startedAt: 'another boot:12345' }
    for (const content of [JSON.stringify(stale), 'damaged', '']) {
      writeFileSync(paths.lock, content)

      const unlock = lockDataDir(paths)

      assert.equal(JSON.parse(readFileSync(paths.lock, 'utf8')).pid, process.pid)
      unlock()
    }
  })

  it('leaves no file of the lock behind', () => {
    const paths = dataPaths(testDir())
    writeFileSync(paths.lock, 'stale')

    lockDataDir(paths)()

    assert.deepEqual(readdirSync(paths.root).sort(), ['carrier', 'secrets'])
    assert.equal(statSync(paths.secrets).mode & 0o777, 0o700)
  })

  it('that cannot be written is refused', () => {
    const file = join(testDir(), 'a-file')
    writeFileSync(file, '')

    assert.throws(() => lockDataDir(dataPaths(join(file, 'data'))), { code: 'data_dir_unusable' })
  })
})

describe('a reset', () => {
  it('stops a server left behind and removes all that the launcher made, and nothing else', async () => {
    const paths = dataPaths(testDir())
    lockDataDir(paths)()
    const server = await startEmbeddedPostgres({
      dataDir: paths.postgres,
      port: await freePort(),
      durable: false,
    })
    writeFileSync(join(paths.secrets, 'key'), 'k')
    writeFileSync(join(paths.root, 'holiday.jpg'), 'not ours')

    await clearData(paths)

    assert.deepEqual(readdirSync(paths.root), ['holiday.jpg'])
    assert.equal(identify(server.pid), undefined)
  })

  it('refuses while a launcher is alive, and removes nothing', async () => {
    const paths = dataPaths(testDir())
    const unlock = lockDataDir(paths)
    writeFileSync(join(paths.secrets, 'key'), 'k')

    await assert.rejects(clearData(paths), { code: 'data_dir_locked' })

    assert.equal(readFileSync(join(paths.secrets, 'key'), 'utf8'), 'k')
    unlock()
  })

  it('of an empty or missing folder is fine', async () => {
    const root = join(testDir(), 'never-made')

    await clearData(dataPaths(root))

    assert.equal(existsSync(root), false)
  })
})
