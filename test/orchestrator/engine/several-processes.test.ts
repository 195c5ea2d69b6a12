import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { waitFor } from '../../support/wait-for.ts'
import { EngineProcess, traceTables } from '../support/engine-process.ts'
import { orchestratorMigrations } from '../support/orders.ts'

const takeoverMs = 10_000

// Each test has a database of its own, so that they can wait for their leases side by side.
describe('the engine in several processes', { concurrency: true }, () => {
  const worlds: World[] = []
  after(() => Promise.all(worlds.map((world) => world.end())))

  class World {
    readonly db: TestDatabase
    readonly engines: EngineProcess[] = []

    private constructor(db: TestDatabase) {
      this.db = db
      worlds.push(this)
    }

    static async of(...concurrencies: number[]): Promise<World> {
      const db = await testDatabase(orchestratorMigrations)
      const world = new World(db)
      await db.query(traceTables)
      world.engines.push(
        ...(await Promise.all(concurrencies.map((n) => EngineProcess.start(db.url, n)))),
      )
      return world
    }

    get pair(): [EngineProcess, EngineProcess] {
      const [a, b] = this.engines
      if (a === undefined || b === undefined) throw new Error('There are not two engines')
      return [a, b]
    }

    open(gate: string) {
      return this.db.query('insert into gate values ($1)', [gate])
    }

    /** Which steps really ran, in order, and in which process. */
    async ran(runId: string): Promise<[step: string, pid: number][]> {
      const found = await this.db.query<{ step: string; pid: number }>(
        'select step, pid from ran where run_id = $1 order by n',
        [runId],
      )
      return found.rows.map(({ step, pid }) => [step, pid])
    }

    async started(runId: string, step: string, pid?: number): Promise<void> {
      const isIt = ([name, by]: [string, number]) =>
        name === step && (pid === undefined || by === pid)
      await waitFor(async () => (await this.ran(runId)).some(isIt), {
        what: `${step} of ${runId} to start`,
        timeoutMs: takeoverMs,
      })
    }

    async end(): Promise<void> {
      await Promise.all(this.engines.map((engine) => engine.kill()))
      await this.db[Symbol.asyncDispose]()
    }
  }

  it('lets another process pick up what waits in the queue', async () => {
    const world = await World.of(1, 1)
    const [a, b] = world.pair
    const ids = [randomUUID(), randomUUID()]

    for (const runId of ids) await a.start('steps', runId, { gate: 'both' }, 'queued')

    for (const runId of ids) await world.started(runId, 'two')
    const pids = await Promise.all(ids.map(async (runId) => (await world.ran(runId))[0]?.[1]))
    assert.deepEqual(pids.sort(), [a.pid, b.pid].sort())
    await world.open('both')
    for (const runId of ids) assert.equal(await b.result(runId, 10_000), true)
  })

  it('runs once what two processes start at the same time', async () => {
    const world = await World.of(4, 4)
    const [a, b] = world.pair
    const ids = Array.from({ length: 20 }, () => randomUUID())

    await Promise.all(
      ids.flatMap((runId) => [a, b].map((engine) => engine.start('steps', runId, {}, 'direct'))),
    )

    for (const runId of ids) {
      assert.equal(await b.result(runId, 10_000), true)
      assert.deepEqual(
        (await world.ran(runId)).map(([step]) => step),
        ['one', 'two', 'three'],
      )
    }
  })

  it('takes over the runs of a killed process within 10 s, and repeats no finished step', async () => {
    const world = await World.of(4, 4)
    const [a, b] = world.pair
    const [direct, queued, asleep] = [randomUUID(), randomUUID(), randomUUID()]
    await a.start('steps', direct, { gate: 'two' }, 'direct')
    // Longer than a busy machine needs until the kill, shorter than a takeover.
    await a.start('sleeping', asleep, { ms: 3_500 }, 'direct')
    await world.started(direct, 'two')
    await world.started(asleep, 'before')
    await a.start('steps', queued, { gate: 'two' }, 'queued')
    await world.started(queued, 'two')

    await a.kill()
    await world.started(direct, 'two', b.pid)
    await world.open('two')

    for (const runId of [direct, queued, asleep]) {
      assert.equal(await b.result(runId, takeoverMs), true)
      assert.equal(await b.status(runId), 'done')
    }
    // Finished steps keep their result; the one in flight ran again.
    assert.deepEqual(await world.ran(direct), [
      ['one', a.pid],
      ['two', a.pid],
      ['two', b.pid],
      ['three', b.pid],
    ])
    assert.deepEqual(await world.ran(asleep), [
      ['before', a.pid],
      ['after', b.pid],
    ])
    assert.ok((await b.recovered()) >= 2)
  })

  it('takes over though a process was frozen in the middle of handing runs on', async () => {
    const world = await World.of(4, 4)
    const [a, b] = world.pair
    const runId = randomUUID()
    await a.start('steps', runId, { gate: 'frozen' }, 'direct')
    await world.started(runId, 'two')
    // What a frozen process leaves behind: a session that holds its locks and a claim that is fresh.
    const frozen = await world.db.connect()
    try {
      await frozen.query(`select pg_advisory_lock(hashtext('baton-reaper'))`)
      await frozen.query(
        `insert into executor_lease values ('reaper', now() + interval '3 seconds')
         on conflict (executor_id) do update set expires_at = excluded.expires_at`,
      )

      await a.kill()

      await world.started(runId, 'two', b.pid)
    } finally {
      frozen.release(true)
    }
  })

  it('hands what still runs at the end of a graceful stop on at once', async () => {
    const world = await World.of(4, 4)
    const [a, b] = world.pair
    const [quick, slow, undoable] = [randomUUID(), randomUUID(), randomUUID()]
    await a.start('steps', quick, { gate: 'quick' }, 'direct')
    await a.start('steps', slow, { gate: 'slow' }, 'direct')
    await a.start('with_undo', undoable, {}, 'direct')
    await world.started(quick, 'two')
    await world.started(slow, 'two')
    await world.started(undoable, 'do')

    const stopped = a.shutdown(1_000)
    await world.open('quick')
    await stopped
    const startedAt = performance.now()
    await world.started(slow, 'two', b.pid)
    const handedOnMs = performance.now() - startedAt
    await world.started(undoable, 'do', b.pid)
    // Both processes end this step now; the one that stops must not undo it.
    await world.open('do')
    await world.started(undoable, 'more')
    await world.open('slow')
    await world.open('more')

    // Less than a lease: nobody had to wait for its end.
    assert.ok(handedOnMs < 3_500, `${handedOnMs} ms`)
    assert.equal(await b.result(slow, 10_000), true)
    assert.deepEqual(await world.ran(quick), [
      ['one', a.pid],
      ['two', a.pid],
      ['three', a.pid],
    ])
    assert.equal(await b.status(quick), 'done')
    assert.equal(await b.result(undoable, 10_000), true)
    assert.deepEqual(await world.ran(undoable), [
      ['do', a.pid],
      ['do', b.pid],
      ['more', b.pid],
    ])
  })

  it('never lets a process that was thought dead react to having lost its run', async () => {
    const world = await World.of(4, 4)
    const [frozen, live] = world.pair
    const runId = randomUUID()
    await frozen.start('with_undo', runId, {}, 'direct')
    await world.started(runId, 'do')

    frozen.freeze()
    await world.started(runId, 'do', live.pid)
    await world.open('do')
    await world.started(runId, 'more', live.pid)
    frozen.wake()

    // Its own step ends now; an undo in it would spoil what the other process goes on to do.
    const next = randomUUID()
    await frozen.start('steps', next, {}, 'direct')
    assert.equal(await frozen.result(next, 10_000), true)
    await world.open('more')
    assert.equal(await frozen.result(runId, 10_000), true)
    assert.deepEqual(await world.ran(runId), [
      ['do', frozen.pid],
      ['do', live.pid],
      ['more', live.pid],
    ])
  })
})
