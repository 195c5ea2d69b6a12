import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { platformEnv } from '../../launcher/platform-env.ts'
import { testDatabase } from '../support/database.ts'

const command = resolve(import.meta.dirname, '../../launcher/command-main.ts')

describe('a command for the platform of npm start', () => {
  let dataDir: string

  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'baton-env-'))
  })
  afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

  const keepSecrets = () => {
    mkdirSync(join(dataDir, 'secrets'))
    writeFileSync(join(dataDir, 'secrets', 'orchestrator-database-password'), 'pw\n')
    writeFileSync(join(dataDir, 'secrets', 'key-encryption-key'), 'key\n')
  }

  const run = async (args: string[], env: Record<string, string>) => {
    const child = spawn(process.execPath, [command, ...args], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const text = { out: '', error: '' }
    child.stdout.on('data', (chunk: Buffer) => {
      text.out += chunk
    })
    child.stderr.on('data', (chunk: Buffer) => {
      text.error += chunk
    })
    const [code] = await once(child, 'close')
    return { code, ...text }
  }

  it('finds its database and key by the data dir', () => {
    keepSecrets()

    assert.deepEqual(
      platformEnv(dataDir, 'postgres://boss:secret@db:5432/postgres?sslmode=require'),
      {
        DATABASE_URL: 'postgres://orchestrator:pw@db:5432/orchestrator?sslmode=require',
        KEY_ENCRYPTION_KEY_FILE: join(dataDir, 'secrets', 'key-encryption-key'),
      },
    )
  })

  it('says what to do when there is none, and makes nothing', async () => {
    assert.throws(() => platformEnv(dataDir, 'postgres://db/'), { code: 'platform_not_found' })
    keepSecrets()
    assert.throws(() => platformEnv(dataDir, undefined), { code: 'platform_not_found' })

    const { code, out, error } = await run(['orchestrator/keys.ts', 'list'], { DATA_DIR: dataDir })

    assert.deepEqual([code, out], [1, ''])
    assert.match(error, /No platform runs on .*npm start.*DATABASE_URL/s)
  })

  it('works on the DATABASE_URL of its environment, when there is one', async () => {
    await using db = await testDatabase('orchestrator/migrations')
    const env = { DATABASE_URL: db.url }
    const clients = (...args: string[]) => run(['orchestrator/clients.ts', ...args], env)

    const added = await clients('add', 'shop', '--scopes', 'orders:submit orders:read')
    assert.match(added.out, /^Added shop.*\nbaton_secret_[\w-]{43}\n/)
    const listed = await clients('list')
    assert.equal(listed.out, 'shop  secret  orders:submit orders:read\n')
    const refused = await clients('add', 'thief', '--scopes', 'order:write')
    assert.deepEqual([refused.code, refused.out], [1, ''])
    assert.match(refused.error, /No client can have: order:write. Choose among: orders:submit/)
    const usage = await clients('ad')
    assert.match(usage.error, /^Usage: npm run clients -- add ID/)
    const key = await run(['orchestrator/keys.ts', 'list'], env)
    assert.match(key.error, /KEY_ENCRYPTION_KEY: is required/)
  })

  it('says that a database without tables wants an orchestrator first', async () => {
    await using db = await testDatabase()

    const { code, error } = await run(['orchestrator/clients.ts'], { DATABASE_URL: db.url })

    assert.equal(code, 1)
    assert.match(error, /start the orchestrator on it first/)
  })
})
