/** Runs one of the server's own programs and waits for it. */
import { spawn } from 'node:child_process'
import type { ServerUser } from './server-user.ts'

export interface CommandResult {
  /** Exit code; -1 when it could not be run or was cut off. */
  readonly code: number
  /** What it printed, or why it could not run; empty for a detached one. */
  readonly output: string
}

export interface CommandOptions {
  readonly user: ServerUser | undefined
  readonly timeoutMs: number
  /** It leaves a daemon behind, which would hold our pipes open: give it none. */
  readonly leavesDaemon?: boolean
}

const outputMax = 20_000

/** Runs a program to its end; never throws. Nothing of our environment but PATH is handed on. */
export function runCommand(
  file: string,
  args: readonly string[],
  { user, timeoutMs, leavesDaemon = false }: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
      cwd: '/', // our own folder may be closed to that user
      env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
      stdio: leavesDaemon ? 'ignore' : ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
    })
    let output = ''
    const collect = (chunk: Buffer) => {
      output = `${output}${chunk}`.slice(-outputMax)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    child.once('error', (error) => resolve({ code: -1, output: error.message }))
    child.once('close', (code) => resolve({ code: code ?? -1, output: output.trim() }))
  })
}
