import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { migrate, runSqlFile } from '../../platform/migrate.ts'
import { type TestDatabase, testDatabase } from '../support/database.ts'

describe('migrations', () => {
  let db: TestDatabase
  let folder: string

  before(async () => {
    db = await testDatabase()
  })
  after(() => db[Symbol.asyncDispose]())
  beforeEach(async () => {
    await db.query('drop schema public cascade; create schema public')
    folder = mkdtempSync(join(tmpdir(), 'baton-migrations-'))
    write('0001_cups.sql', 'create table cup (name text); insert into cup values ($$first$$);')
    write('0002_mugs.sql', 'create table mug (name text);')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const write = (name: string, sql: string) => writeFileSync(join(folder, name), sql)
  const applied = async () =>
    (
      await db.query(
        `select version, name from schema_version where version < 900 order by version`,
      )
    ).rows
  const cups = async () => (await db.query(`select name from cup`)).rows.length

  it('are applied in the order of their numbers and written down', async () => {
    write('0003_more.sql', 'insert into cup values ($$second$$); insert into mug values ($$m$$);')
    write('notes.txt', 'not SQL at all')

    await migrate(db, folder)

    assert.deepEqual(await applied(), [
      { version: 1, name: '0001_cups.sql' },
      { version: 2, name: '0002_mugs.sql' },
      { version: 3, name: '0003_more.sql' },
    ])
    assert.equal(await cups(), 2)
  })

  it('come with those of the platform', async () => {
    await migrate(db, folder)

    const known = await db.query(`select count(*) as n from tool_call`)
    assert.equal(Number(known.rows[0].n), 0)
  })

  it('are applied once, however often they are asked for', async () => {
    await migrate(db, folder)
    await migrate(db, pathToFileURL(`${folder}/`))

    assert.equal(await cups(), 1)
  })

  it('are applied once when several processes start at once', async () => {
    await Promise.all(Array.from({ length: 8 }, () => migrate(db, folder)))

    assert.equal(await cups(), 1)
    assert.equal((await applied()).length, 2)
  })

  it('add what is new to a database that has the older ones', async () => {
    await migrate(db, folder)
    write('0003_more.sql', 'insert into mug values ($$new$$);')
    await migrate(db, folder)

    assert.equal(await cups(), 1)
    assert.equal((await db.query(`select * from mug`)).rowCount, 1)
  })

  it('leave nothing behind when one of them fails', async () => {
    write('0003_broken.sql', 'create table plate (name text); select 1 / 0;')

    await assert.rejects(migrate(db, folder), /division by zero/)
    const { rows } = await db.query(
      `select to_regclass('schema_version') as versions, to_regclass('cup') as cup`,
    )
    assert.deepEqual(rows, [{ versions: null, cup: null }])
  })

  it('refuse a folder that has none: it is probably the wrong one', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'baton-migrations-'))
    try {
      await assert.rejects(migrate(db, empty), /No migrations/)
    } finally {
      rmSync(empty, { recursive: true })
    }
  })

  it('are followed by demo data that is safe to repeat, also at once', async () => {
    write('seed.sql', `insert into mug select $$demo$$ where not exists (select 1 from mug);`)
    const seed = pathToFileURL(join(folder, 'seed.sql'))
    await migrate(db, folder)

    await Promise.all([1, 2, 3, 4].map(() => runSqlFile(db, seed)))

    assert.equal((await db.query(`select * from mug`)).rowCount, 1)
  })
})
