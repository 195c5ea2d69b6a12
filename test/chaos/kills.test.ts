import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cells, moments, nameOf, shortWalk, victims, walk } from './cells.ts'
import { runKills } from './kill-run.ts'

const runMs = 6 * 60_000

describe('the crash matrix', () => {
  it('is walked whole by the seeds one after another', () => {
    const hit = new Set([...walk(200, 1), ...walk(200, 2)].map(nameOf))

    assert.equal(hit.size, cells.length)
    assert.deepEqual(walk(200, 1), walk(200, 1))
  })

  it('has a short form that meets every moment and every kind of process', () => {
    const short = shortWalk()

    assert.equal(new Set(short.map(nameOf)).size, short.length)
    for (const moment of moments) assert.ok(short.filter((c) => c.moment === moment).length >= 4)
    for (const victim of victims)
      assert.ok(
        short.some((cell) => cell.victim === victim),
        victim,
      )
  })

  it('holds every promise in its short form', { timeout: runMs }, async () => {
    const lines: string[] = []
    const held = await runKills({
      portOffset: 20_800,
      replicas: 2,
      walk: shortWalk(),
      seed: 1,
      ordersPerSecond: 4,
      say: (line) => lines.push(line),
    })

    assert.ok(held, `\n${lines.join('\n')}`)
  })
})
