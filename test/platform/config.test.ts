import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import {
  baseUrl,
  ConfigError,
  databaseConfig,
  flag,
  integer,
  processConfig,
  readConfig,
} from '../../platform/config.ts'

const schema = processConfig.extend({
  API_KEY: z.string().min(8),
  SERVER_URL: baseUrl,
  SEED: flag.default(false),
  ATTEMPTS_MAX: integer(1, 10).default(3),
})
const good = { PORT: '3000', API_KEY: 'secret-key', SERVER_URL: 'http://localhost:1/' }

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(schema, env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
}

describe('configuration', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'baton-config-'))
  })
  after(() => rmSync(folder, { recursive: true }))

  const file = (content: string) => {
    const path = join(folder, 'value')
    writeFileSync(path, content)
    return path
  }

  it('reads numbers, flags and URLs, fills in defaults and is frozen', () => {
    const config = readConfig(schema, { ...good, SEED: 'true', OTHER: 'ignored' })

    assert.deepEqual(config, {
      HOST: '127.0.0.1',
      PORT: 3000,
      LOG_LEVEL: 'info',
      DRAIN_SECONDS: 20,
      API_KEY: 'secret-key',
      SERVER_URL: 'http://localhost:1',
      SEED: true,
      ATTEMPTS_MAX: 3,
    })
    assert.ok(Object.isFrozen(config))
  })

  it('reports every problem at once, each with the name of its setting', () => {
    const problems = problemsOf({
      PORT: '70000',
      API_KEY: 'short',
      SERVER_URL: 'nowhere',
      SEED: 'yes',
      ATTEMPTS_MAX: '1.5',
    })

    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      ['PORT', 'API_KEY', 'SERVER_URL', 'SEED', 'ATTEMPTS_MAX'],
    )
  })

  it('says all of them in its message, one a line', () => {
    assert.throws(() => readConfig(schema, {}), /PORT: .*\n {2}- API_KEY: .*\n {2}- SERVER_URL: /)
  })

  it('takes an empty value for a missing one', () => {
    assert.equal(readConfig(schema, { ...good, ATTEMPTS_MAX: '' }).ATTEMPTS_MAX, 3)
    assert.equal(problemsOf({ ...good, API_KEY: '' }).length, 1)
  })

  it('reads X from the file that X_FILE names, without the line end', () => {
    const { API_KEY: _, ...rest } = good
    const config = readConfig(schema, { ...rest, API_KEY_FILE: file('from-a-file\n') })

    assert.equal(config.API_KEY, 'from-a-file')
  })

  it('refuses X together with X_FILE, and a file that cannot be read, with the other problems', () => {
    const both = problemsOf({ ...good, API_KEY_FILE: file('another-key'), PORT: '0' })
    const absent = problemsOf({ ...good, API_KEY: '', API_KEY_FILE: join(folder, 'absent') })
    const emptyBesideFile = { ...good, API_KEY: '', API_KEY_FILE: file('from-a-file') }
    const emptyFileName = { ...good, API_KEY_FILE: '' }

    assert.ok(both.some((problem) => problem.startsWith('API_KEY: set either')))
    assert.ok(both.some((problem) => problem.startsWith('PORT: ')))
    assert.ok(absent.some((problem) => problem.startsWith('API_KEY_FILE: cannot read')))
    assert.deepEqual(problemsOf(emptyBesideFile), [])
    assert.deepEqual(problemsOf(emptyFileName), [])
  })

  it('never puts the value of a secret into a problem', () => {
    const problems = problemsOf({ ...good, API_KEY: 's3cr3t' })

    assert.equal(problems.length, 1)
    assert.doesNotMatch(problems.join(), /s3cr3t/)
  })

  it('of a database needs an address and limits its pool', () => {
    assert.equal(readConfig(databaseConfig, { DATABASE_URL: 'postgres://x' }).DATABASE_POOL_MAX, 10)
    assert.throws(() => readConfig(databaseConfig, { DATABASE_POOL_MAX: '0' }), ConfigError)
  })
})
