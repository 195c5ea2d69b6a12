import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type TestDatabase, testDatabase } from '../../support/database.ts'
import { waitFor } from '../../support/wait-for.ts'
import { EngineProcess, traceTables } from '../support/engine-process.ts'
import { orchestratorMigrations } from '../support/orders.ts'

const statementMs = 1_000

describe('the engine in one process', () => {
  let db: TestDatabase
  let engine: EngineProcess

  before(async () => {
    db = await testDatabase(orchestratorMigrations)
    await db.query(traceTables)
    engine = await EngineProcess.start(db.url, 10, statementMs)
  })
  after(async () => {
    await engine.kill()
    await db[Symbol.asyncDispose]()
  })

  const open = (gate: string) => db.query('insert into gate values ($1)', [gate])
  const stepsOf = async (runId: string): Promise<string[]> => {
    const found = await db.query('select step from ran where run_id = $1 order by n', [runId])
    return found.rows.map(({ step }) => step)
  }
  const resultOf = async (runId: string): Promise<unknown> =>
    (await db.query('select value from result where run_id = $1', [runId])).rows[0]?.value

  for (const dispatch of ['direct', 'queued'] as const) {
    it(`runs once what is started twice with one id, ${dispatch}`, async () => {
      const runId = randomUUID()

      await Promise.all([
        engine.start('steps', runId, {}, dispatch),
        engine.start('steps', runId, {}, dispatch),
      ])
      assert.equal(await engine.result(runId, 10_000), true)
      await engine.start('steps', runId, {}, dispatch)

      assert.equal(await engine.status(runId), 'done')
      assert.deepEqual(await stepsOf(runId), ['one', 'two', 'three'])
      assert.deepEqual(await resultOf(runId), ['one', 'two', 'three'])
    })
  }

  it('takes a run of its own up again that it let go without recording how it ended', async () => {
    const runId = randomUUID()
    await engine.start('steps', runId, {}, 'direct')
    assert.equal(await engine.result(runId, 10_000), true)
    // What a database leaves that was away while the end was to be recorded: it runs, and nobody runs it.
    await db.query(
      `update dbos.workflow_status set status = 'PENDING', output = null, completed_at = null
        where workflow_uuid = $1`,
      [runId],
    )
    await db.query(
      'delete from dbos.operation_outputs where workflow_uuid = $1 and function_id > 1',
      [runId],
    )

    await waitFor(async () => (await engine.status(runId)) === 'done', { what: 'its end' })

    assert.ok((await stepsOf(runId)).length > 3)
  })

  it('goes on with a run whose record met a database that gave no answer in time', async () => {
    const runId = randomUUID()
    await engine.start('steps', runId, { gate: 'stalled' }, 'direct')
    await waitFor(async () => (await stepsOf(runId)).includes('two'), { what: 'step two' })
    const stalled = await db.connect()
    try {
      await stalled.query('begin')
      await stalled.query('lock table dbos.operation_outputs in share row exclusive mode')
      await open('stalled')
      // Its record waits for the lock until the statement is given up.
      const isWaiting = `select 1 from pg_stat_activity
        where wait_event_type = 'Lock' and query ilike '%operation_outputs%' and datname = current_database()`
      const waiting = async () => ((await db.query(isWaiting)).rowCount ?? 0) > 0
      await waitFor(waiting, { what: 'the record to wait' })
      await waitFor(async () => !(await waiting()), { what: 'the record to be given up' })
      await stalled.query('commit')
    } finally {
      stalled.release()
    }

    await waitFor(async () => (await engine.status(runId)) !== 'running', { what: 'its end' })
    await waitFor(async () => (await resultOf(runId)) !== undefined, { what: 'its result' })

    assert.deepEqual(await resultOf(runId), ['one', 'two', 'three'])
  })

  it('joins the first start also when the second goes another way', async () => {
    const [first, second] = [randomUUID(), randomUUID()]

    await engine.start('steps', first, {}, 'direct')
    await engine.start('steps', first, {}, 'queued')
    await engine.start('steps', second, {}, 'queued')
    await engine.start('steps', second, {}, 'direct')

    for (const runId of [first, second]) {
      assert.equal(await engine.result(runId, 10_000), true)
      assert.deepEqual(await stepsOf(runId), ['one', 'two', 'three'])
    }
  })

  it('keeps the order of parallel results, and waits for all before it fails', async () => {
    const runId = randomUUID()
    await engine.start('parallel', runId, {}, 'direct')

    await waitFor(async () => (await stepsOf(runId)).length === 2, { what: 'both to start' })
    await open('slow')
    await waitFor(async () => (await stepsOf(runId)).includes('b'), { what: 'b to fail' })
    assert.equal(await engine.result(runId, 100), false)
    await open('a')
    assert.equal(await engine.result(runId, 10_000), true)

    const ran = await stepsOf(runId)
    assert.deepEqual(
      [ran.slice(0, 2).sort(), ran.slice(2).sort()],
      [
        ['fast', 'slow'],
        ['a', 'b'],
      ],
    )
    assert.deepEqual(await resultOf(runId), {
      both: ['slow', 'fast'],
      failure: { kind: 'rejected', code: 'b_failed' },
    })
  })

  it('hands a signal to a run that waits, once for its key', async () => {
    const runId = randomUUID()
    await engine.start('waiting', runId, { timeoutMs: 30_000 }, 'direct')
    await waitFor(async () => (await engine.progressOf(runId)) !== null, { what: 'progress' })
    assert.deepEqual(await engine.progressOf(runId), { at: 'waiting' })

    await engine.signal(runId, 'other', 'not this', 'key-1')
    await engine.signal(runId, 'approval', 'yes', 'key-2')
    await engine.signal(runId, 'approval', 'yes', 'key-2')

    assert.equal(await engine.result(runId, 10_000), true)
    assert.equal(await resultOf(runId), 'yes')
    assert.deepEqual(await engine.progressOf(runId), { at: 'done' })
  })

  it('gives a run that waits in vain null', async () => {
    const runId = randomUUID()
    await engine.start('waiting', runId, { timeoutMs: 50 }, 'direct')

    assert.equal(await engine.result(runId, 10_000), true)

    assert.equal(await resultOf(runId), null)
  })

  it('sleeps as long as it was told', async () => {
    const runId = randomUUID()
    const startedAt = performance.now()
    await engine.start('sleeping', runId, { ms: 300 }, 'direct')

    assert.equal(await engine.result(runId, 10_000), true)

    assert.ok(performance.now() - startedAt >= 290)
    assert.deepEqual(await stepsOf(runId), ['before', 'after'])
  })

  it('tells a run that failed from one that goes on, and from one that nobody started', async () => {
    const [failed, running] = [randomUUID(), randomUUID()]
    await engine.start('throwing', failed, {}, 'direct')
    await engine.start('steps', running, { gate: 'never' }, 'direct')

    assert.equal(await engine.result(failed, 10_000), true)
    assert.equal(await engine.status(failed), 'failed')
    assert.equal(await engine.result(running, 50), false)
    assert.equal(await engine.status(running), 'running')
    assert.equal(await engine.status(randomUUID()), 'unknown')
    assert.equal(await engine.progressOf(running), null)
    await engine.start('throwing', failed, {}, 'direct')
    assert.equal(await engine.status(failed), 'failed')
    await open('never')
  })

  it('refuses a workflow that nobody registered', async () => {
    await assert.rejects(engine.start('unheard_of', randomUUID(), {}, 'direct'))
  })

  it('counts what waits in the queue', async () => {
    assert.equal(await engine.queued(), 0)
    const ids = Array.from({ length: 13 }, () => randomUUID())

    for (const runId of ids) await engine.start('steps', runId, { gate: 'queue' }, 'queued')

    await waitFor(async () => (await engine.queued()) === 3, { what: 'ten of thirteen to run' })
    await open('queue')
    await waitFor(async () => (await engine.queued()) === 0, { what: 'an empty queue' })
    for (const runId of ids) assert.equal(await engine.result(runId, 10_000), true)
  })
})
