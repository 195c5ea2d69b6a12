/** The frame of the operator's commands: configuration in, one connection, text or a problem out. */
import type { z } from 'zod'
import { ConfigError, databaseConfig, readConfig } from '../platform/config.ts'
import { createPool, isDatabaseError, type Pool } from '../platform/db.ts'
import { AppError } from '../platform/errors.ts'
import { createLog } from '../platform/log.ts'
import { assertNode } from '../platform/process.ts'
import { startProblem } from '../platform/start-problem.ts'

const connectionsMax = 1
const noSuchTable = '42P01'
const noSuchColumn = '42703'

/** Of every command. */
export const commandConfig = databaseConfig.pick({ DATABASE_URL: true, DATABASE_TIMEOUT_MS: true })

/** Wrong words on the command line; `message` says the right ones. */
export class UsageError extends Error {}

/** Runs one command and prints what it returns; a problem goes to stderr, with exit code 1. */
export async function runCommand<S extends typeof commandConfig>(
  schema: S,
  env: NodeJS.ProcessEnv,
  work: (pool: Pool, config: Readonly<z.output<S>>) => Promise<string>,
): Promise<void> {
  assertNode()
  try {
    const config = readConfig(schema, env)
    const { DATABASE_URL: url, DATABASE_TIMEOUT_MS: timeoutMs } = config
    const pool = createPool(url, connectionsMax, createLog('command', 'silent'), timeoutMs)
    try {
      process.stdout.write(`${await work(pool, config)}\n`)
    } finally {
      await pool.end()
    }
  } catch (error) {
    process.stderr.write(`${problemText(error)}\n`)
    process.exitCode = 1
  }
}

function problemText(error: unknown): string {
  if (error instanceof ConfigError || error instanceof UsageError) return error.message
  if (error instanceof AppError) {
    return [error.message, error.next].filter((text) => text !== undefined).join('. ')
  }
  if (isDatabaseError(error) && [noSuchTable, noSuchColumn].includes(error.code ?? '')) {
    return 'This database has no tables of this version: start the orchestrator on it first.'
  }
  return startProblem(error).replace('Cannot start', 'Cannot do it')
}
