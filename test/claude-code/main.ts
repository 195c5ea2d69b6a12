/**
 * `npm run try:claude-code`: Claude Code, which we did not write, connects to our four servers, lists
 * and calls their tools; with a wrong token it says `failed`. The Claude stand-in stands where its
 * model would, so nothing leaves this machine. Skipped where Claude Code is not installed.
 */
import assert from 'node:assert/strict'
import { assertNode } from '../../launcher/config.ts'
import { stopOnSignals } from '../../launcher/stop-signals.ts'
import { createClaudeStandin } from '../../standins/claude/app.ts'
import { startFourServers } from '../conformance/four-servers.ts'
import { askClaudeCode, type CliRun, type CliServer, claudeCodeVersion } from './claude-code.ts'
import { lookAround, wantedCalls } from './policy.ts'

const say = (line: string) => console.log(line)

async function main(): Promise<void> {
  assertNode(process.versions.node)
  const version = await claudeCodeVersion()
  if (version === undefined) {
    say('SKIPPED: there is no `claude` on the PATH.')
    say('Install Claude Code (npm install --global @anthropic-ai/claude-code) and run this again.')
    return
  }
  say(`Claude Code ${version}`)
  const stopped = stopOnSignals().first
  const claude = createClaudeStandin({ policies: [lookAround] })
  await using undo = new AsyncDisposableStack()
  const claudeUrl = await claude.listen({ host: '127.0.0.1', port: 0 })
  undo.defer(() => claude.close())
  const platform = undo.use(await startFourServers(stopped))
  const servers: Record<string, CliServer> = {}
  for (const [name, { url, token }] of platform.servers) {
    servers[name] = { url, token: await token() }
  }

  const run = await askClaudeCode(claudeUrl, servers, stopped)
  assertUsed(run, Object.keys(servers))
  say(`connected: ${statuses(run)}`)
  say(`called: ${wantedCalls.map(({ name }) => name).join(' ')}`)

  const { inventory } = servers
  assert.ok(inventory)
  const refused = await askClaudeCode(
    claudeUrl,
    { inventory: { ...inventory, token: 'wrong' } },
    stopped,
  )
  say(`with a wrong token: ${statuses(refused)}`)
  assert.equal(statuses(refused), 'inventory failed')
}

/** Its exit code says nothing of servers that it could not reach; its first event does. */
function assertUsed(run: CliRun, names: readonly string[]): void {
  assert.equal(statuses(run), names.map((name) => `${name} connected`).join(', '), run.errors)
  const listed = run.events.find(({ subtype }) => subtype === 'init')?.tools ?? []
  const said = JSON.stringify(run.events.map(({ message }) => message?.content))
  for (const { name } of wantedCalls) {
    assert.ok(listed.includes(name), `${name} is not listed`)
    assert.ok(said.includes(`"name":"${name}"`), `${name} is not called`)
  }
  assert.match(said, /Ceramic mug/, 'the stock is not in the answer')
  const result = run.events.find(({ type }) => type === 'result')
  assert.equal(result?.subtype, 'success')
  assert.equal(result?.is_error, false)
}

function statuses({ events }: CliRun): string {
  const servers = events.find(({ subtype }) => subtype === 'init')?.mcp_servers ?? []
  return servers.map(({ name, status }) => `${name} ${status}`).join(', ')
}

const failure = await main().then(
  () => undefined,
  (error: unknown) => error ?? new Error('failed'),
)
if (failure !== undefined) console.error(failure)
process.exit(failure === undefined ? 0 : 1)
