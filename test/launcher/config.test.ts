import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assertNode, readLauncherConfig } from '../../launcher/config.ts'

describe('the settings of npm start', () => {
  it('have defaults that need neither key nor server', () => {
    assert.deepEqual(readLauncherConfig({}, []), {
      portOffset: 0,
      dataDir: '.data',
      adminDatabaseUrl: undefined,
      claude: { mode: 'standin' },
      logLevel: 'info',
      realistic: false,
    })
  })

  it('come from environment and flags', () => {
    const env = {
      PORT_OFFSET: '100',
      DATA_DIR: '/tmp/d',
      ADMIN_DATABASE_URL: 'postgres://boss:pw@db:5432/postgres',
      LOG_LEVEL: 'debug',
      CLAUDE_MODE: 'live',
      ANTHROPIC_API_KEY: 'sk',
    }

    const config = readLauncherConfig(env, ['--realistic'])

    assert.deepEqual(config.claude, { mode: 'live', apiKey: 'sk' })
    assert.deepEqual([config.portOffset, config.realistic], [100, true])
  })

  it('never use a key that happens to be there', () => {
    const config = readLauncherConfig({ ANTHROPIC_API_KEY: 'sk' }, [])

    assert.deepEqual(config.claude, { mode: 'standin' })
  })

  it('are refused with every problem at once', () => {
    const env = {
      PORT_OFFSET: '-1',
      ADMIN_DATABASE_URL: 'mysql://x',
      LOG_LEVEL: 'loud',
      CLAUDE_MODE: 'live',
    }
    const names = ['PORT_OFFSET', 'ADMIN_DATABASE_URL', 'LOG_LEVEL', 'ANTHROPIC_API_KEY', '--fast']

    assert.throws(
      () => readLauncherConfig(env, ['--fast']),
      (error: Error) => {
        for (const name of names) {
          assert.match(error.message, new RegExp(name))
        }
        return true
      },
    )
    assert.throws(() => readLauncherConfig({ CLAUDE_MODE: 'live', ANTHROPIC_API_KEY: '' }, []), {
      code: 'config_unusable',
      message: /ANTHROPIC_API_KEY/,
    })
  })

  it('need Node 24', () => {
    assertNode('24.0.0')
    assert.throws(() => assertNode('22.20.0'), { code: 'node_too_old', message: /npm start/ })
  })
})
