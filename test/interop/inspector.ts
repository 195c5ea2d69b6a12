/** The MCP Inspector's command line, as a person or a script would use it. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const runMsMax = 60_000
const main = join(
  import.meta.dirname,
  '../../node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js',
)

export type Era = 'modern' | 'legacy' | 'auto'

export interface Inspection {
  readonly exitCode: number | null
  /** What it printed as JSON; undefined when it printed none. */
  readonly result: unknown
  readonly errors: string
}

/** Runs one method. `home` takes the files that the Inspector keeps. */
export async function inspect(options: {
  readonly url: URL
  readonly era: Era
  readonly token: string
  readonly home: string
  /** `--method` and what belongs to it. */
  readonly ask: readonly string[]
}): Promise<Inspection> {
  const { url, era, token, home, ask } = options
  const inspector = spawn(
    process.execPath,
    [
      ...[main, '--cli', url.href, '--transport', 'http', '--protocol-era', era],
      ...['--format', 'json', '-q', '--stored-auth-only'],
      ...['--header', `Authorization: Bearer ${token}`, '--method', ...ask],
    ],
    {
      env: { ...process.env, HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: runMsMax,
      killSignal: 'SIGKILL',
    },
  )
  const exit = new Promise<number | null>((resolve, reject) => {
    inspector.once('error', reject).once('close', resolve)
  })
  const [out, errors, exitCode] = await Promise.all([
    text(inspector.stdout),
    text(inspector.stderr),
    exit,
  ])
  const printed = out.trim() === '' ? {} : (JSON.parse(out) as { result?: unknown })
  return { exitCode, result: printed.result, errors }
}
