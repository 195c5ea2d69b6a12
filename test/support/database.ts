/** A fresh database for each test file, on the server that `npm test` has started. */
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import pg from 'pg'
import { migrate } from '../../platform/migrate.ts'

/** A pool on the database; disposing it ends the pool and drops the database. */
export type TestDatabase = pg.Pool & AsyncDisposable & { readonly url: string }

const poolMax = 10
const timeoutMs = 15_000
const migrationsRoot = resolve(import.meta.dirname, '../..')

/** The superuser's URL of the test server. */
export function testAdminUrl(): string {
  const url = process.env.TEST_ADMIN_DATABASE_URL
  if (url === undefined || url === '') {
    throw new Error('TEST_ADMIN_DATABASE_URL is not set: run it through npm test -- <file>')
  }
  return url
}

/**
 * Makes an empty database with a random name, and applies the migrations of a folder, given from
 * the root of the repository: `services/inventory/migrations`.
 */
export async function testDatabase(migrationsDir?: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdmin(`create database ${name}`)
  const url = new URL(testAdminUrl())
  url.pathname = `/${name}`
  const pool = new pg.Pool({
    connectionString: url.href,
    max: poolMax,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  })
  // The end of a pool does not wait for its connections, and the drop below cuts those off.
  pool.on('error', () => {})
  const drop = async () => {
    await pool.end()
    await asAdmin(`drop database if exists ${name} with (force)`)
  }
  try {
    if (migrationsDir !== undefined) await migrate(pool, resolve(migrationsRoot, migrationsDir))
  } catch (error) {
    await drop()
    throw error
  }
  return Object.assign(pool, { url: url.href, [Symbol.asyncDispose]: drop })
}

async function asAdmin(sql: string): Promise<void> {
  const admin = new pg.Client({
    connectionString: testAdminUrl(),
    connectionTimeoutMillis: timeoutMs,
  })
  await admin.connect()
  try {
    await admin.query(sql)
  } finally {
    await admin.end()
  }
}
