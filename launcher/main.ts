/** `npm start`: the whole platform on this machine, until Ctrl-C. */
import { assertNode, readLauncherConfig } from './config.ts'
import { describeExit } from './fleet.ts'
import { greeting } from './greeting.ts'
import { LauncherError } from './launcher-error.ts'
import { createLineFormatter, wantsColours } from './log-lines.ts'
import { startPlatform } from './platform.ts'
import { basePorts } from './ports.ts'
import { stopOnSignals } from './stop-signals.ts'

const restartsMax = 5
const since = performance.now()
const seconds = () => (performance.now() - since) / 1_000
const say = (message: string) => console.log(`[${seconds().toFixed(1).padStart(5)} s] ${message}`)
const colours = wantsColours(process.stdout.isTTY === true, process.env.NO_COLOR)
const format = createLineFormatter({ colours, names: Object.keys(basePorts) })

try {
  assertNode(process.versions.node)
  const config = readLauncherConfig(process.env, process.argv.slice(2))
  const signals = stopOnSignals()
  process.exitCode = await run(config, signals)
} catch (error) {
  console.error(error instanceof LauncherError ? `\n${error.message}` : error)
  process.exitCode = 1
}
process.exit()

async function run(
  config: ReturnType<typeof readLauncherConfig>,
  signals: ReturnType<typeof stopOnSignals>,
): Promise<number> {
  const onLine = (name: string, line: string) => console.log(format(name, line))
  const options = { ...config, restartsMax, onLine, say, signal: signals.first }
  const platform = await startPlatform(options).catch((error: unknown) => {
    if (signals.first.aborted) return undefined
    throw error
  })
  if (platform === undefined) {
    say('Stopped before everything was ready')
    return 0
  }
  const orchestratorPort = basePorts.orchestrator + config.portOffset
  console.log(greeting({ orchestratorPort, claudeMode: config.claude.mode, seconds: seconds() }))
  const crash = await Promise.race([platform.exited, signals.stopped])
  say(crash === undefined ? 'Stopping' : `${describeExit(crash)}\nGiving up: stopping everything`)
  signals.second.addEventListener('abort', () => void platform.stop(0))
  await platform.stop()
  say('Stopped')
  return crash === undefined ? 0 : 1
}
