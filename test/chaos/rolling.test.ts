/** A rolling restart of everything under load: no request fails, no order is lost. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { checkBooks } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { orderMix } from './orders.ts'
import { fillStock, settle } from './settle.ts'
import { type Stage, serviceNames, startStage } from './stage.ts'

const clients = 8
const plenty = 100_000
const testMs = 5 * 60_000

describe('a rolling restart under load', () => {
  let stage: Stage
  const crashed: string[] = []

  before(async () => {
    const env = { all: { DRAIN_ACCEPT_MS: '1000' } }
    stage = await startStage({ portOffset: 21_100, replicas: 2, env, watchReadiness: true })
    void stage.platform.exited.then(({ name }) => crashed.push(name))
    await fillStock(stage, 'ABC123', plenty)
    await fillStock(stage, 'DEF457', plenty)
  })
  after(() => stage[Symbol.asyncDispose]())

  it('fails no request, loses no order, and every process ends well', {
    timeout: testMs,
  }, async () => {
    // One attempt only: what fails here would fail a client that does not try again.
    const ledger = new Ledger([stage.front], { attemptsMax: 1 })
    const next = orderMix(3)
    let isLoaded = true
    const client = async () => {
      while (isLoaded) await ledger.submit({ ...next(), waitSeconds: 20 }).answered
    }
    const load = Promise.all(Array.from({ length: clients }, client))
    const names = ['orchestrator', ...serviceNames].flatMap((name) => [name, `${name}-2`])
    const codes: [string, number | null | undefined][] = []
    const notReady: boolean[] = []

    for (const name of names) {
      const url = stage.platform.urls[name] ?? ''
      const ended = stage.platform.terminate(name)
      notReady.push(await saysNotReady(url))
      codes.push([name, (await ended)?.code])
      await stage.platform.start(name)
    }
    isLoaded = false
    await load
    await settle(stage)

    assert.deepEqual(
      codes,
      names.map((name) => [name, 0]),
    )
    assert.ok(notReady.every(Boolean), 'readiness says no while a process still serves')
    assert.deepEqual([...ledger.troubles], [])
    assert.ok(ledger.entries.length > 50, `${ledger.entries.length} orders`)
    const { breaches } = await checkBooks(stage, ledger)
    assert.deepEqual(breaches, [])
    assert.deepEqual(crashed, [])
  })
})

/** Asks until readiness says 503; false when the process was gone before. */
async function saysNotReady(url: string): Promise<boolean> {
  for (;;) {
    const status = await fetch(`${url}/readyz`).then(
      (response) => response.status,
      () => 0,
    )
    if (status !== 200) return status === 503
  }
}
