/** The whole platform for a test file: real processes, on the test run's Postgres, short retries. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { type Platform, type PlatformOptions, startPlatform } from '../../launcher/platform.ts'

export interface TestPlatform extends AsyncDisposable {
  readonly platform: Platform
  readonly logs: readonly string[]
  /** KEY_ENCRYPTION_KEY_FILE of the orchestrators. */
  readonly keyEncryptionKeyFile: string
  /** Rows of a query in one of the four databases. */
  rows<T extends pg.QueryResultRow>(
    database: keyof Platform['databaseUrls'],
    sql: string,
    values?: unknown[],
  ): Promise<T[]>
}

const shortRetries = { STEP_BACKOFF_MIN_MS: '20', STEP_BACKOFF_MAX_MS: '100' }
const shortModelRetries = { MODEL_BACKOFF_MIN_MS: '20', MODEL_BACKOFF_MAX_MS: '100' }
const shortPatience = { PATIENCE_WAIT_MIN_MS: '50', PATIENCE_WAIT_MAX_MS: '500' }

/** Starts it at `portOffset`, which no other test file may use. */
export async function startTestPlatform(
  portOffset: number,
  options: Partial<PlatformOptions> = {},
): Promise<TestPlatform> {
  const adminDatabaseUrl = process.env.TEST_ADMIN_DATABASE_URL
  if (adminDatabaseUrl === undefined) throw new Error('Run it through npm test -- <file>')
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-system-'))
  const prefix = `t${randomUUID().slice(0, 8)}_`
  const logs: string[] = []
  const orchestrator = { ...shortRetries, ...shortPatience }
  const platform = await startPlatform({
    ...options,
    dataDir,
    portOffset,
    adminDatabaseUrl,
    databasePrefix: prefix,
    claude: { mode: 'standin' },
    onLine: (name, line) => logs.push(`${name} ${line}`),
    env: {
      orchestrator,
      'orchestrator-2': orchestrator,
      order: shortModelRetries,
      inventory: shortModelRetries,
      fulfillment: shortModelRetries,
      ...options.env,
    },
  })
  const pools = Object.fromEntries(
    Object.entries(platform.databaseUrls).map(([name, url]) => [
      name,
      new pg.Pool({ connectionString: url, max: 2 }),
    ]),
  )
  return {
    platform,
    logs,
    keyEncryptionKeyFile: join(dataDir, 'secrets', 'key-encryption-key'),
    rows: async <T extends pg.QueryResultRow>(
      database: keyof Platform['databaseUrls'],
      sql: string,
      values: unknown[] = [],
    ) => (await pools[database]?.query<T>(sql, values))?.rows ?? [],
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Object.values(pools).map((pool) => pool.end()))
      await platform.stop()
      await rm(dataDir, { recursive: true, force: true })
      await dropDatabases(adminDatabaseUrl, prefix)
    },
  }
}

async function dropDatabases(adminUrl: string, prefix: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  const found = await admin.query(
    `select datname from pg_database where starts_with(datname, $1)`,
    [prefix],
  )
  for (const { datname } of found.rows) await admin.query(`drop database "${datname}" with (force)`)
  const roles = await admin.query(`select rolname from pg_roles where starts_with(rolname, $1)`, [
    prefix,
  ])
  for (const { rolname } of roles.rows) await admin.query(`drop role "${rolname}"`)
  await admin.end()
}
