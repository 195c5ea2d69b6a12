/** A superuser's (or at least role-creating) connection to the server that holds the databases. */
import pg from 'pg'
import { LauncherError } from './launcher-error.ts'

const connectTimeoutMs = 10_000
const statementTimeoutMs = 60_000

/**
 * Runs `work` on one admin connection, alone: other launchers on the same server wait their turn.
 *
 * @throws LauncherError `database_unreachable`, which names the server but never the password.
 */
export async function asAdmin<T>(
  adminUrl: string,
  work: (admin: pg.Client) => Promise<T>,
): Promise<T> {
  const admin = await connectTo(adminUrl)
  try {
    // Released with the connection.
    await admin.query(`select pg_advisory_lock(hashtext('baton-databases'))`)
    return await work(admin)
  } finally {
    await admin.end()
  }
}

/**
 * Opens one connection.
 *
 * @throws LauncherError `database_unreachable`; its `cause` is what the driver said.
 */
export async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    keepAlive: true,
  })
  client.on('error', () => {}) // the query that runs into it reports it
  try {
    await client.connect()
    return client
  } catch (cause) {
    await client.end().catch(() => {})
    const { message, code } = cause as NodeJS.ErrnoException
    const { host, pathname } = new URL(url)
    const reason = message || code
    throw new LauncherError(
      'database_unreachable',
      `Cannot connect to Postgres at ${host}${pathname}: ${reason}. Is ADMIN_DATABASE_URL right?`,
      cause,
    )
  }
}
