import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { commandLine, identify, isRunning } from '../../launcher/process-identity.ts'
import { endLeftovers, ProcessRecords } from '../../launcher/process-records.ts'
import { waitFor } from '../support/wait-for.ts'
import { testDir } from '../support/work-dir.ts'

const graceMs = 5_000

describe('what a killed launcher left behind', () => {
  const children: ChildProcess[] = []
  after(() => {
    for (const child of children) child.kill('SIGKILL')
  })

  /** A process that says when it has come up; `detached` as the launcher's own children are. */
  async function startSleeper(code = ''): Promise<ChildProcess & { pid: number }> {
    const script = `${code}; setInterval(() => {}, 1000); console.log('up')`
    const child = spawn(process.execPath, ['-e', script], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    children.push(child)
    if (child.stdout !== null) await once(child.stdout, 'data')
    assert.ok(child.pid !== undefined)
    return child as ChildProcess & { pid: number }
  }
  const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

  it('is ended by the next one', async () => {
    const file = join(testDir(), 'processes.json')
    const child = await startSleeper()
    new ProcessRecords(file).add('order', child.pid)

    const ended = await endLeftovers(file, graceMs)

    assert.deepEqual(
      ended.map(({ name, pid }) => [name, pid]),
      [['order', child.pid]],
    )
    await waitFor(() => hasEnded(child), { what: 'the end of the child' })
    assert.equal(child.signalCode, 'SIGTERM')
    assert.equal(existsSync(file), false)
    assert.deepEqual(await endLeftovers(file, graceMs), [])
  })

  it('is killed when it does not listen', async () => {
    const file = join(testDir(), 'processes.json')
    const child = await startSleeper(`process.on('SIGTERM', () => {})`)
    new ProcessRecords(file).add('order', child.pid)

    await endLeftovers(file, 100)

    await waitFor(() => hasEnded(child), { what: 'the end of the child' })
    assert.equal(child.signalCode, 'SIGKILL')
  })

  it('is left alone when its pid belongs to another process by now', async () => {
    const file = join(testDir(), 'processes.json')
    const stranger = await startSleeper()
    new ProcessRecords(file).add('order', stranger.pid)
    const [record] = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify([{ ...record, startedAt: 'another boot:12345' }]))

    const ended = await endLeftovers(file, graceMs)

    assert.deepEqual(ended, [])
    assert.equal(hasEnded(stranger), false)
    assert.ok(commandLine(stranger.pid)?.includes('setInterval'))
  })

  it('is nobody when the file is damaged or names no real process', async () => {
    const file = join(testDir(), 'processes.json')
    const own = identify(process.pid)
    const records = [{ name: 'x', pid: 0, startedAt: '' }, { name: 'x', pid: -1 }, null, own]
    for (const content of ['', 'not json', '{}', JSON.stringify(records)]) {
      writeFileSync(file, content)
      assert.deepEqual(await endLeftovers(file, graceMs), [])
    }
  })

  it('is forgotten when it ended in the order of things', async () => {
    const file = join(testDir(), 'processes.json')
    const records = new ProcessRecords(file)
    const [one, two] = [await startSleeper(), await startSleeper()]
    records.add('one', one.pid)
    records.add('two', two.pid)

    records.remove(one.pid)

    const kept = JSON.parse(readFileSync(file, 'utf8')) as { name: string }[]
    assert.deepEqual(
      kept.map(({ name }) => name),
      ['two'],
    )
  })
})

describe('the identity of a process', () => {
  it('holds while it runs and no longer', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const identity = identify(child.pid ?? 0)
    assert.ok(identity !== undefined)
    assert.equal(isRunning(identity), true)

    child.kill('SIGKILL')
    await once(child, 'exit')

    assert.equal(isRunning(identity), false)
    assert.equal(identify(child.pid ?? 0), undefined)
  })
})
