/** A server program for as long as a test needs it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { waitFor } from '../support/wait-for.ts'
import { type Program, programPath } from './debian.ts'

const readyMs = 30_000
const stopGraceMs = 5_000
const lastCharacters = 2_000

/**
 * Starts it and resolves once `readyUrl` answers 200; disposing it ends it.
 *
 * @throws Error with the program's last words when it ends before.
 */
export async function startProgram(
  program: Program,
  args: readonly string[],
  readyUrl: string,
): Promise<AsyncDisposable> {
  const child = spawn(programPath(program), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const ended = once(child, 'exit').catch(() => {})
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-lastCharacters)
    })
  }
  const stop = async () => {
    process.off('exit', killWithUs)
    child.kill('SIGTERM')
    await Promise.race([ended, delay(stopGraceMs, undefined, { ref: false })])
    child.kill('SIGKILL')
    await ended
  }
  try {
    const isReady = async () => child.exitCode !== null || (await fetch(readyUrl)).ok
    await waitFor(isReady, { timeoutMs: readyMs, what: `${program} to be ready` })
    if (child.exitCode !== null) throw new Error(`${program} has ended`)
  } catch (cause) {
    await stop()
    throw new Error(`${program} did not start: ${said}`, { cause })
  }
  return { [Symbol.asyncDispose]: stop }
}
