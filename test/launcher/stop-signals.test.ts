import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { describe, it } from 'node:test'
import { stopOnSignals } from '../../launcher/stop-signals.ts'

function fakeProcess() {
  const streams = { env: {}, stdout: new EventEmitter(), stderr: new EventEmitter() }
  return Object.assign(new EventEmitter(), streams) as unknown as NodeJS.Process
}

describe('a signal', () => {
  it('that npm delivers twice counts once', async () => {
    const target = fakeProcess()
    const { first, second, stopped } = stopOnSignals(target)

    target.emit('SIGINT')
    target.emit('SIGINT')

    await stopped
    assert.deepEqual([first.aborted, second.aborted], [true, false])
  })

  it('a while after the first means hurry', (context) => {
    const target = fakeProcess()
    let now = 1_000
    context.mock.method(performance, 'now', () => now)
    const { second } = stopOnSignals(target)

    target.emit('SIGTERM')
    now += 2_000
    target.emit('SIGINT')

    assert.equal(second.aborted, true)
  })

  it('of any kind stops, and a closed terminal breaks nothing', async () => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const target = fakeProcess()
      const { stopped } = stopOnSignals(target)
      target.emit(name)
      target.stdout.emit('error', new Error('EIO'))
      assert.equal(await stopped, undefined)
    }
  })
})
