/** Forward-only SQL migrations: numbered files, each applied once, in one transaction. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inTransaction, type Pool } from './db.ts'

const fileName = /^(\d{4})_[a-z0-9_]+\.sql$/
/** What every process needs in its database; numbered from 0901 on. */
const platformMigrations = fileURLToPath(new URL('./migrations/', import.meta.url))

/**
 * Applies every migration of `directory` and of the platform that this database has not seen.
 *
 * Safe to repeat and to run in several processes at once: an advisory lock makes the others wait,
 * then they find nothing left to do. The version row goes in first, so a half-applied file cannot
 * leave a version behind.
 */
export async function migrate(pool: Pool, directory: URL | string): Promise<void> {
  const folder = directory instanceof URL ? fileURLToPath(directory) : directory
  const names = (await readdir(folder)).filter((name) => fileName.test(name)).sort()
  if (names.length === 0) throw new Error(`No migrations like 0001_name.sql in ${folder}`)
  const own = names.map((name) => ({ name, file: join(folder, name) }))
  const shared = (await readdir(platformMigrations))
    .sort()
    .map((name) => ({ name, file: join(platformMigrations, name) }))
  await inTransaction(pool, async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(hashtext('baton-migrate'))`)
    await tx.query(
      `create table if not exists schema_version (
         version int primary key,
         name text not null,
         applied_at timestamptz not null default now()
       )`,
    )
    for (const { name, file } of [...own, ...shared]) {
      const applied = await tx.query(
        `insert into schema_version (version, name) values ($1, $2) on conflict do nothing`,
        [Number(name.slice(0, 4)), name],
      )
      if (applied.rowCount === 1) await tx.query(await readFile(file, 'utf8'))
    }
  })
}

/** Runs one SQL file that is itself safe to repeat, such as the demo data. */
export async function runSqlFile(pool: Pool, file: URL): Promise<void> {
  const sql = await readFile(file, 'utf8')
  await inTransaction(pool, async (tx) => {
    await tx.query(`select pg_advisory_xact_lock(hashtext('baton-migrate'))`)
    await tx.query(sql)
  })
}
