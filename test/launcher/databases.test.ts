import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import pg from 'pg'
import { createDatabases, databaseNames, dropDatabases } from '../../launcher/databases.ts'
import { testAdminUrl } from '../support/database.ts'
import { testDir } from '../support/work-dir.ts'

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

describe('the databases', () => {
  const prefixes: string[] = []
  const newOptions = () => {
    const prefix = `t${randomBytes(4).toString('hex')}_`
    prefixes.push(prefix)
    return { adminUrl: testAdminUrl(), secretsDir: join(testDir(), 'secrets'), prefix }
  }
  after(async () => {
    for (const prefix of prefixes) await dropDatabases(testAdminUrl(), prefix)
  })

  it('have a role each, which owns its database and may make schemas in it', async () => {
    const urls = await createDatabases(newOptions())

    for (const name of databaseNames) {
      const made = await query(urls[name], 'create schema dbos; select current_user as who')
      assert.ok(Array.isArray(made) || made === undefined)
      const [row] = await query(
        urls[name],
        `select current_user = pg_get_userbyid(datdba) as owns
           from pg_database where datname = current_database()`,
      )
      assert.equal(row?.owns, true)
    }
  })

  it('refuse the role of another one', async () => {
    const urls = await createDatabases(newOptions())
    const crossed = new URL(urls.orders)
    crossed.pathname = new URL(urls.inventory).pathname

    await assert.rejects(query(crossed.href, 'select 1'), { code: '42501' })
  })

  it('give their roles no powers over the server', async () => {
    const urls = await createDatabases(newOptions())

    await assert.rejects(query(urls.orders, 'create role intruder'), { code: '42501' })
    await assert.rejects(query(urls.orders, 'create database more'), { code: '42501' })
  })

  it('stay as they are when asked for again, passwords included', async () => {
    const options = newOptions()
    const first = await createDatabases(options)
    await query(first.orders, 'create table kept as select 42 as answer')

    const second = await createDatabases(options)

    assert.deepEqual(second, first)
    assert.deepEqual(await query(second.orders, 'select answer from kept'), [{ answer: 42 }])
  })

  it('can be made by two launchers at once', async () => {
    const options = newOptions()
    const [one, two] = await Promise.all([createDatabases(options), createDatabases(options)])

    await query(one.orders, 'select 1')
    assert.deepEqual(Object.keys(two), [...databaseNames])
  })

  it('get a new password when its file is lost', async () => {
    const options = newOptions()
    const first = await createDatabases(options)
    rmSync(join(options.secretsDir, 'orders-database-password'))

    const second = await createDatabases(options)

    assert.notEqual(second.orders, first.orders)
    assert.equal(second.inventory, first.inventory)
    await query(second.orders, 'select 1')
    await assert.rejects(query(first.orders, 'select 1'), { code: '28P01' })
  })

  it('keep their passwords in files that only the owner can read', async () => {
    const { secretsDir, ...options } = newOptions()
    await createDatabases({ ...options, secretsDir })

    const modes = readdirSync(secretsDir).map(
      (name) => statSync(join(secretsDir, name)).mode & 0o777,
    )

    assert.deepEqual(modes, [0o600, 0o600, 0o600, 0o600])
  })

  it('take over nothing that somebody else has made', async () => {
    const options = newOptions()
    const role = `${options.prefix}orders`
    await query(testAdminUrl(), `create role ${role}`)

    await assert.rejects(createDatabases(options), { code: 'database_not_ours' })
    await dropDatabases(options.adminUrl, options.prefix)

    const left = await query(testAdminUrl(), `select 1 from pg_roles where rolname = '${role}'`)
    assert.equal(left.length, 1)
    await query(testAdminUrl(), `drop role ${role}`)
  })

  it('are dropped with their roles, whoever is connected', async () => {
    const options = newOptions()
    const urls = await createDatabases(options)
    const guest = new pg.Client({ connectionString: urls.orders })
    guest.on('error', () => {})
    await guest.connect()

    await dropDatabases(options.adminUrl, options.prefix)

    const left = await query(
      testAdminUrl(),
      `select datname from pg_database where datname like '${options.prefix}%'
       union select rolname from pg_roles where rolname like '${options.prefix}%'`,
    )
    assert.deepEqual(left, [])
    await guest.end()
  })

  it('name the server that cannot be reached, and not the password', async () => {
    const options = { ...newOptions(), adminUrl: 'postgres://boss:hidden@127.0.0.1:1/postgres' }

    await assert.rejects(createDatabases(options), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'database_unreachable')
      assert.match(error.message, /127\.0\.0\.1:1/)
      assert.doesNotMatch(error.message, /hidden/)
      return true
    })
  })

  it('can be made by an admin who is no superuser', async () => {
    const admin = `t${randomBytes(4).toString('hex')}_admin`
    await query(testAdminUrl(), `create role ${admin} login createdb createrole password 'x'`)
    const adminUrl = new URL(testAdminUrl())
    adminUrl.username = admin
    adminUrl.password = 'x'
    const options = { ...newOptions(), adminUrl: adminUrl.href }

    const urls = await createDatabases(options)
    await query(urls.orders, 'create schema dbos')

    await dropDatabases(options.adminUrl, options.prefix)
    await query(testAdminUrl(), `drop role ${admin}`)
  })
})
