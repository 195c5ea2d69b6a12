/** Claude Code's command line, cut off from everything but the addresses that it is given. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const runMsMax = 60_000

/** A line of its `stream-json` output, as far as we look at it. */
export interface CliEvent {
  readonly type: string
  readonly subtype?: string
  readonly is_error?: boolean
  readonly tools?: readonly string[]
  readonly mcp_servers?: readonly { readonly name: string; readonly status: string }[]
  readonly message?: { readonly content?: unknown }
}

export interface CliRun {
  readonly exitCode: number | null
  readonly events: readonly CliEvent[]
  readonly errors: string
}

export interface CliServer {
  readonly url: string
  readonly token: string
}

/** Its version; undefined when it is not on the PATH. */
export async function claudeCodeVersion(): Promise<string | undefined> {
  const run = await runCli(['--version'], process.env).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  return run?.out.trim()
}

/** One question, answered by the model at `claudeUrl` with the tools of `servers`. */
export async function askClaudeCode(
  claudeUrl: string,
  servers: Readonly<Record<string, CliServer>>,
  signal: AbortSignal,
): Promise<CliRun> {
  const home = await mkdtemp(join(tmpdir(), 'baton-claude-code-'))
  try {
    const config = join(home, 'mcp.json')
    await writeFile(config, JSON.stringify({ mcpServers: configOf(servers) }))
    const { code, out, errors } = await runCli(
      [
        ...['--bare', '-p', 'Look around.', '--model', 'claude-sonnet-5-5', '--tools', ''],
        ...['--system-prompt', 'You operate a warehouse.', '--mcp-config', config],
        ...['--strict-mcp-config', '--allowedTools'],
        Object.keys(servers)
          .map((name) => `mcp__${name}`)
          .join(','),
        ...['--output-format', 'stream-json', '--verbose'],
      ],
      environment(claudeUrl, home),
      signal,
    )
    const lines = out.split('\n').filter((line) => line.startsWith('{'))
    return { exitCode: code, events: lines.map((line) => JSON.parse(line) as CliEvent), errors }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

const configOf = (servers: Readonly<Record<string, CliServer>>) =>
  Object.fromEntries(
    Object.entries(servers).map(([name, { url, token }]) => [
      name,
      {
        type: 'http',
        url: new URL('/mcp', url).href,
        headers: { Authorization: `Bearer ${token}` },
      },
    ]),
  )

/** Nothing of the caller's but the PATH: no key, no account, no settings reach the run. */
const environment = (claudeUrl: string, home: string): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: home,
  CLAUDE_CONFIG_DIR: join(home, '.claude'),
  ANTHROPIC_BASE_URL: claudeUrl,
  ANTHROPIC_API_KEY: 'sk-ant-offline-standin',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_AUTOUPDATER: '1',
  DISABLE_TELEMETRY: '1',
  DISABLE_ERROR_REPORTING: '1',
  // Else tools of MCP servers hide behind a search tool.
  ENABLE_TOOL_SEARCH: 'false',
})

async function runCli(args: readonly string[], env: NodeJS.ProcessEnv, signal?: AbortSignal) {
  const cli = spawn('claude', args, {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: runMsMax,
    killSignal: 'SIGKILL',
    ...(signal && { signal }),
  })
  const exit = new Promise<number | null>((resolve, reject) => {
    cli.once('error', reject).once('close', resolve)
  })
  const [out, errors, code] = await Promise.all([text(cli.stdout), text(cli.stderr), exit])
  return { code, out, errors }
}
