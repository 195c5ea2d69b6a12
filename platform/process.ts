/** The frame of every main.ts: Node version, configuration, signals, exit codes. */
import type { z } from 'zod'
import { ConfigError, readConfig } from './config.ts'
import { startProblem } from './start-problem.ts'

const nodeMajor = 24
/** Beyond the drain: if a stop hangs, the process still ends. */
const stopGraceMs = 5_000

export interface RunningProcess {
  /** Ends accepting, finishes what runs or hands it on, closes everything. */
  stop(): Promise<void>
}

/** Ends the process with a message that says what to do when Node is too old. */
export function assertNode(version: string = process.versions.node): void {
  if (Number(version.split('.')[0]) >= nodeMajor) return
  process.stderr.write(
    `Baton needs Node ${nodeMajor}; this is ${version}. Run it through npm (npm start): ` +
      'the package brings its own Node.\n',
  )
  process.exit(1)
}

/**
 * Starts one process and keeps it until SIGTERM or SIGINT, then stops it and exits 0.
 *
 * A configuration problem prints every problem and exits 1; a start that fails prints what failed
 * and what to check, and exits 1.
 */
export async function runProcess<S extends z.ZodObject>(
  schema: S,
  env: NodeJS.ProcessEnv,
  start: (config: Readonly<z.output<S>>) => Promise<RunningProcess>,
): Promise<void> {
  assertNode()
  const config = configOrExit(schema, env)
  const running = await startOrExit(() => start(config))
  const { DRAIN_SECONDS = 20, DRAIN_ACCEPT_MS = 0 } = config as Partial<Record<string, number>>
  const drainMs = DRAIN_SECONDS * 1_000 + DRAIN_ACCEPT_MS

  const stop = () => {
    process.off('SIGTERM', stop).off('SIGINT', stop)
    // A second signal, such as npm's own copy of Ctrl-C, must not cut the drain short.
    process.on('SIGTERM', () => {}).on('SIGINT', () => {})
    setTimeout(() => process.exit(1), drainMs + stopGraceMs).unref()
    running.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`stop failed: ${String(error)}\n`)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
}

function configOrExit<S extends z.ZodObject>(
  schema: S,
  env: NodeJS.ProcessEnv,
): Readonly<z.output<S>> {
  try {
    return readConfig(schema, env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

async function startOrExit(start: () => Promise<RunningProcess>): Promise<RunningProcess> {
  try {
    return await start()
  } catch (error) {
    process.stderr.write(`${startProblem(error)}\n`)
    process.exit(1)
  }
}
