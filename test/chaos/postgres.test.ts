/** Postgres stopped, paused and killed under a stream of orders: they wait for it, and end. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { checkBooks } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { orderMix } from './orders.ts'
import { fillStock, settle } from './settle.ts'
import { type Stage, startStage } from './stage.ts'
import { startStream } from './stream.ts'

const awayMs = 5_000
const ordersPerSecond = 4
const plenty = 100_000
const testMs = 4 * 60_000

describe('orders while Postgres is away', () => {
  let stage: Stage
  const crashed: string[] = []

  before(async () => {
    const env = { all: { DATABASE_TIMEOUT_MS: '2000' } }
    stage = await startStage({ portOffset: 21_600, replicas: 1, env })
    void stage.platform.exited.then(({ name }) => crashed.push(name))
    await fillStock(stage, 'ABC123', plenty)
    await fillStock(stage, 'DEF457', plenty)
  })
  after(() => stage[Symbol.asyncDispose]())

  const outages: [
    how: string,
    away: () => void | Promise<void>,
    back: () => void | Promise<void>,
  ][] = [
    ['paused', () => stage.postgres.signal('SIGSTOP'), () => stage.postgres.signal('SIGCONT')],
    ['stopped', () => stage.platform.postgres?.stop('fast'), () => stage.postgres.start()],
    ['killed', () => stage.postgres.kill(), () => stage.postgres.start()],
  ]
  for (const [how, away, back] of outages) {
    it(`end lawfully when it is ${how} for 5 s, and no process dies`, {
      timeout: testMs,
    }, async () => {
      const ledger = new Ledger(stage.fronts)
      const stream = startStream(ledger, orderMix(5), ordersPerSecond)
      await delay(1_000)

      await away()
      await delay(awayMs)
      await back()
      await delay(1_000)

      await stream.end()
      await ledger.answered()
      await settle(stage)
      const { breaches } = await checkBooks(stage, ledger)
      assert.deepEqual(breaches, [])
      assert.deepEqual(crashed, [])
      assert.ok(ledger.entries.length >= 20, `${ledger.entries.length} orders`)
    })
  }
})
