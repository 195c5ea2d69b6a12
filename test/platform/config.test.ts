import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { agentConfig } from '../../platform/agent-config.ts'
import {
  baseUrl,
  ConfigError,
  claudeConfig,
  databaseConfig,
  flag,
  integer,
  processConfig,
  readConfig,
} from '../../platform/config.ts'
import { toolServiceConfig } from '../../platform/tool-service.ts'

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
      DRAIN_ACCEPT_MS: 1_000,
      OTEL_TRACES_SAMPLER: 'parentbased_always_on',
      OTEL_TRACES_SAMPLER_ARG: 1,
      TRACE_CONTENT: false,
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

  it('says of what is missing that it is required, and of what is no number just that', () => {
    const words = problemsOf({ API_KEY: 'secret-key', ATTEMPTS_MAX: 'many' })

    assert.deepEqual(words, [
      'PORT: is required',
      'SERVER_URL: is required',
      'ATTEMPTS_MAX: is not a number',
    ])
  })

  const modes: readonly (readonly [Record<string, string>, readonly string[]])[] = [
    [{ CLAUDE_MODE: 'live' }, ['PORT', 'ANTHROPIC_API_KEY']],
    [{ CLAUDE_MODE: 'live', CLAUDE_URL: 'http://x' }, ['PORT', 'ANTHROPIC_API_KEY']],
    [{ CLAUDE_MODE: 'standin', ANTHROPIC_API_KEY: 'k' }, ['PORT', 'CLAUDE_URL']],
    [{ CLAUDE_MODE: 'standin', CLAUDE_URL: 'nowhere' }, ['CLAUDE_URL', 'PORT']],
    [{}, ['CLAUDE_MODE', 'PORT']],
    [{ CLAUDE_MODE: 'live', ANTHROPIC_API_KEY: 'k', PORT: '1' }, []],
    [{ CLAUDE_MODE: 'standin', CLAUDE_URL: 'http://x', PORT: '1' }, []],
  ]
  for (const [env, names] of modes) {
    it(`of Claude ${JSON.stringify(env)} lacks [${names}], said with all other problems`, () => {
      const extended = claudeConfig
        .extend(processConfig.shape)
        .extend({ SEED: flag.default(false) })
      let problems: readonly string[] = []
      try {
        readConfig(extended, env)
      } catch (error) {
        problems = (error as ConfigError).problems
      }

      assert.deepEqual(
        problems.map((problem) => problem.split(':')[0]),
        names,
      )
    })
  }

  it('of every tool service keeps the rules about Claude', () => {
    const check = () => readConfig(toolServiceConfig.extend({}), { CLAUDE_MODE: 'live' })

    assert.throws(check, /ANTHROPIC_API_KEY: is required when CLAUDE_MODE is live/)
    assert.throws(check, /DATABASE_URL: is required/)
  })

  it('of an agent takes only models that have a price', () => {
    const agent = agentConfig({ model: 'claude-haiku-5-5', effort: 'low' })
    const unpricedDefault = agentConfig({ model: 'claude-unpriced', effort: 'low' })
    const refusal = /AGENT_MODEL: has no price in platform\/prices\.json/

    assert.equal(readConfig(agent, {}).AGENT_MODEL, 'claude-haiku-5-5')
    assert.equal(
      readConfig(agent, { AGENT_MODEL: 'claude-opus-5-5' }).AGENT_MODEL,
      'claude-opus-5-5',
    )
    for (const AGENT_MODEL of ['claude-haiku-9', 'constructor']) {
      assert.throws(() => readConfig(agent, { AGENT_MODEL }), refusal)
    }
    assert.throws(() => readConfig(unpricedDefault, {}), refusal)
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
