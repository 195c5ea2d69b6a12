import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { processConfig, readConfig } from '../../platform/config.ts'
import { createPool, inTransaction, type Pool } from '../../platform/db.ts'
import { createLog } from '../../platform/log.ts'
import { inSpan, inTrace, newTraceId, startTracing } from '../../platform/tracing.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'
import { type OtlpReceiver, otlpReceiver } from '../support/otlp-receiver.ts'

describe('spans of SQL', () => {
  let db: TestDatabase
  let pool: Pool
  let receiver: OtlpReceiver
  const log = createLog('test', 'silent')

  before(async () => {
    receiver = await otlpReceiver()
    db = await testDatabase()
    await db.query('create table thing (id int primary key, owner text)')
    // One connection: whoever comes second waits for it.
    pool = createPool(db.url, 1, log)
  })
  after(async () => {
    await pool.end()
    await db[Symbol.asyncDispose]()
    await receiver[Symbol.asyncDispose]()
  })

  /** Runs it in a span `work`, and gives back what was sent. */
  async function recorded(work: () => Promise<unknown>, env: Record<string, string> = {}) {
    const from = receiver.spans.length
    const config = readConfig(processConfig, {
      ...{ PORT: '1', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
      ...env,
    })
    const tracing = await startTracing(config, 'test', log)
    await work()
    await tracing.stop()
    return receiver.spans.slice(from)
  }
  const inWork = (work: () => Promise<unknown>) =>
    inTrace({ traceId: newTraceId() }, () => inSpan('work', {}, work))

  it('say the statement and never a value', async () => {
    const spans = await recorded(() =>
      inWork(async () => {
        await pool.query('insert into thing\n  values ($1, $2)', [1, 'Kim'])
        await inTransaction(pool, (tx) => tx.query('select owner from thing where id = $1', [1]))
      }),
    )

    const work = spans.find(({ name }) => name === 'work')
    const sql = spans.filter((span) => span.parentSpanId === work?.spanId)
    assert.deepEqual(
      sql.map(({ name }) => name),
      ['INSERT thing', 'BEGIN', 'SELECT thing', 'COMMIT'],
    )
    assert.partialDeepStrictEqual(sql[0], {
      kind: 3,
      status: 0,
      attributes: {
        'db.system.name': 'postgresql',
        'db.namespace': new URL(db.url).pathname.slice(1),
        'db.operation.name': 'INSERT',
        'db.query.text': 'insert into thing values ($1, $2)',
      },
    })
    assert.doesNotMatch(receiver.bodies.join(), /Kim/)
  })

  it('say the SQLSTATE of what Postgres refused, and nothing of the row', async () => {
    const spans = await recorded(() =>
      inWork(async () => {
        const twice = pool.query('insert into thing values ($1, $2)', [1, 'Kim'])
        await assert.rejects(twice, { code: '23505' })
      }),
    )

    const failed = spans.find(({ name }) => name === 'INSERT thing')
    assert.deepEqual([failed?.status, failed?.attributes['error.type']], [2, '23505'])
    assert.doesNotMatch(receiver.bodies.join(), /Kim/)
  })

  it('are beneath whoever asked, also where it waited for the connection of another', async () => {
    const spans = await recorded(async () => {
      const asked = Array.from({ length: 4 }, (_, n) =>
        inTrace({ traceId: newTraceId() }, () =>
          inSpan(`work ${n}`, {}, () => pool.query('select $1::int as n from thing', [n])),
        ),
      )
      const answers = await Promise.all(asked)
      assert.deepEqual(
        answers.map(({ rows }) => rows[0].n),
        [0, 1, 2, 3],
      )
    })

    for (const work of spans.filter(({ name }) => name.startsWith('work'))) {
      assert.equal(receiver.childrenOf(work).length, 1, work.name)
    }
  })

  it('are not made outside a span, nor in a trace that is left out', async () => {
    const query = () => pool.query('select 1 from thing')
    assert.deepEqual(await recorded(query), [])
    assert.deepEqual(await recorded(() => inTrace({ traceId: newTraceId() }, query)), [])
    assert.deepEqual(await recorded(() => inWork(query), { OTEL_TRACES_SAMPLER: 'always_off' }), [])
  })
})
