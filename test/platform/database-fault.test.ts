import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pg from 'pg'
import { createPool, databaseFault } from '../../platform/db.ts'
import { createLog } from '../../platform/log.ts'
import { freePort } from '../support/free-port.ts'

const codeOf = (error: unknown) => (databaseFault(error) as { code?: string }).code
const ofPostgres = (code: string) => Object.assign(new pg.DatabaseError('No', 2, 'error'), { code })

describe('a fault of the database', () => {
  it('is unavailable when Postgres cannot be reached', async () => {
    const url = `postgres://127.0.0.1:${await freePort()}/none`
    const pool = createPool(url, 1, createLog('test', 'silent'))
    const error = await pool.query('select 1').catch((cause: unknown) => cause)
    await pool.end()

    assert.equal(codeOf(error), 'database_unavailable')
  })

  for (const message of [
    'Connection terminated',
    'Connection terminated unexpectedly',
    'Connection terminated due to connection timeout',
    'timeout exceeded when trying to connect',
    'timeout expired',
    'Query read timeout',
    'Client has encountered a connection error and is not queryable',
    'Client was closed and is not queryable',
  ]) {
    it(`is unavailable: ${message}`, () => {
      assert.equal(codeOf(new Error(message)), 'database_unavailable')
    })
  }

  for (const code of ['57P01', '53300', '08006', '40P01', '55P03']) {
    it(`is unavailable: Postgres says ${code}`, () => {
      assert.equal(codeOf(ofPostgres(code)), 'database_unavailable')
    })
  }

  it('is not what anybody else says about a timeout, nor a bug in our SQL', () => {
    for (const error of [
      new Error('The carrier ran into a timeout'),
      new Error('The agreement was terminated'),
      new Error('the stream is not queryable'),
      new TypeError('Connection terminated'),
      ofPostgres('23505'),
      ofPostgres('42601'),
      'Connection terminated',
    ]) {
      assert.equal(databaseFault(error), error)
    }
  })
})
