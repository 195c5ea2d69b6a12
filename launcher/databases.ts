/**
 * One database and one login role for each process that stores something.
 *
 * A role owns its database and may connect to no other of them. Roles we made carry a comment;
 * whatever has one of our names without it belongs to somebody else and is left alone.
 */
import { join } from 'node:path'
import pg from 'pg'
import { asAdmin, connectTo } from './admin-connection.ts'
import { LauncherError } from './launcher-error.ts'
import { scramVerifier } from './scram.ts'
import { keepSecret, randomPassword, readSecret } from './secret-file.ts'

export const databaseNames = ['orders', 'inventory', 'fulfillment', 'orchestrator'] as const
type DatabaseName = (typeof databaseNames)[number]
/** Each with user and password: never log them. */
export type DatabaseUrls = Readonly<Record<DatabaseName, string>>

export interface DatabasesOptions {
  readonly adminUrl: string
  /** Role passwords are kept here, a file each; a lost file means a new password. */
  readonly secretsDir: string
  /** Before each name, so that several platforms can share a server. Default none. */
  readonly prefix?: string
  /** True when nobody else uses the server: then the roles cannot enter `postgres` either. */
  readonly ownsServer?: boolean
}

const mark = 'Made by Baton'
const { escapeIdentifier, escapeLiteral } = pg

/**
 * Makes databases, roles and passwords where they are missing and returns each DATABASE_URL.
 *
 * Safe to repeat: data and passwords stay.
 *
 * @throws LauncherError `database_unreachable`, `database_not_ours`.
 */
export function createDatabases(options: DatabasesOptions): Promise<DatabaseUrls> {
  const { adminUrl, secretsDir, prefix = '', ownsServer = false } = options
  return asAdmin(adminUrl, async (admin) => {
    if (ownsServer) await admin.query('revoke connect on database postgres, template1 from public')
    const urls: [DatabaseName, string][] = []
    for (const name of databaseNames) {
      const role = checkedName(prefix + name)
      const password = keepSecret(passwordFile(secretsDir, name), randomPassword)
      await createRole(admin, role, password)
      await createDatabase(admin, role)
      const url = databaseUrl(adminUrl, role, password)
      await assurePassword(admin, role, url, password)
      urls.push([name, url])
    }
    return Object.fromEntries(urls) as Record<DatabaseName, string>
  })
}

/**
 * The URL of a database that an earlier `createDatabases` made on the server of `serverUrl`; undefined
 * when it has left no password in `secretsDir`.
 */
export function knownDatabaseUrl(
  serverUrl: string,
  secretsDir: string,
  name: DatabaseName,
): string | undefined {
  const password = readSecret(passwordFile(secretsDir, name))
  return password === '' ? undefined : databaseUrl(serverUrl, name, password)
}

const passwordFile = (secretsDir: string, name: DatabaseName) =>
  join(secretsDir, `${name}-database-password`)

/** Drops our databases, whoever is connected, and our roles. What is not ours stays. */
export function dropDatabases(adminUrl: string, prefix = ''): Promise<void> {
  return asAdmin(adminUrl, async (admin) => {
    for (const name of databaseNames) {
      const role = checkedName(prefix + name)
      if ((await findRole(admin, role)) !== 'ours') continue
      if ((await databaseOwner(admin, role)) === role) {
        await admin.query(`drop database ${escapeIdentifier(role)} with (force)`)
      }
      await admin.query(`drop role ${escapeIdentifier(role)}`)
    }
  })
}

async function createRole(admin: pg.Client, role: string, password: string): Promise<void> {
  const found = await findRole(admin, role)
  if (found === 'ours') return
  if (found === 'foreign') throw notOurs('role', role)
  const id = escapeIdentifier(role)
  // One message is one transaction: there is never a role of ours without its mark.
  await admin.query(
    `create role ${id} login password ${escapeLiteral(scramVerifier(password))};
     comment on role ${id} is ${escapeLiteral(mark)}`,
  )
  const { rows } = await admin.query(`select rolsuper from pg_roles where rolname = current_user`)
  // Only a member may make a database for the role, unless it is a superuser.
  if (rows[0]?.rolsuper !== true) await admin.query(`grant ${id} to current_user`)
}

async function createDatabase(admin: pg.Client, role: string): Promise<void> {
  const id = escapeIdentifier(role)
  const owner = await databaseOwner(admin, role)
  if (owner !== undefined && owner !== role) throw notOurs('database', role)
  if (owner === undefined) {
    await admin.query(`create database ${id} owner ${id} template template0 encoding 'UTF8'`)
  }
  await admin.query(`revoke connect, temporary on database ${id} from public`)
}

/** Logs in as the role, which also proves that the URL we hand out works. */
async function assurePassword(
  admin: pg.Client,
  role: string,
  url: string,
  password: string,
): Promise<void> {
  try {
    return await logIn(url)
  } catch (error) {
    // 28P01 invalid_password: the file was lost, or another data dir has set its own since.
    if (((error as Error).cause as { code?: string } | undefined)?.code !== '28P01') throw error
  }
  const verifier = escapeLiteral(scramVerifier(password))
  await admin.query(`alter role ${escapeIdentifier(role)} password ${verifier}`)
  await logIn(url)
}

async function logIn(url: string): Promise<void> {
  const client = await connectTo(url)
  await client.end()
}

async function findRole(admin: pg.Client, role: string): Promise<'ours' | 'foreign' | 'none'> {
  const { rows } = await admin.query(
    `select shobj_description(oid, 'pg_authid') as comment from pg_roles where rolname = $1`,
    [role],
  )
  if (rows.length === 0) return 'none'
  return rows[0].comment === mark ? 'ours' : 'foreign'
}

async function databaseOwner(admin: pg.Client, database: string): Promise<string | undefined> {
  const { rows } = await admin.query(
    `select pg_get_userbyid(datdba) as owner from pg_database where datname = $1`,
    [database],
  )
  return rows[0]?.owner
}

function databaseUrl(adminUrl: string, role: string, password: string): string {
  const url = new URL(adminUrl) // keeps host, port and options such as sslmode
  url.username = role
  url.password = password
  url.pathname = `/${role}`
  return url.href
}

function checkedName(name: string): string {
  if (/^[a-z][a-z0-9_]{0,62}$/.test(name)) return name
  throw new LauncherError('config_unusable', `"${name}" cannot be the name of a database`)
}

function notOurs(what: 'role' | 'database', name: string): LauncherError {
  return new LauncherError(
    'database_not_ours',
    `The server already has a ${what} "${name}" that Baton did not make. Point ADMIN_DATABASE_URL ` +
      'at another server.',
  )
}
