/** What `npm start` and `npm run reset` read from the environment and the command line. */
import { z } from 'zod'
import { LauncherError } from './launcher-error.ts'
import type { ClaudeSetting } from './process-specs.ts'

type Env = Readonly<Record<string, string | undefined>>

export interface LauncherConfig {
  readonly portOffset: number
  readonly dataDir: string
  readonly adminDatabaseUrl: string | undefined
  readonly claude: ClaudeSetting
  readonly logLevel: string
  readonly realistic: boolean
}

const nodeMajor = 24
/** The highest of our ports is 8100. */
const portOffsetMax = 65_535 - 8_100

const schema = z.object({
  PORT_OFFSET: z.coerce
    .number({ error: `must be a whole number from 0 to ${portOffsetMax}` })
    .int()
    .min(0)
    .max(portOffsetMax)
    .default(0),
  DATA_DIR: z.string().default('.data'),
  ADMIN_DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: 'must look like postgres://user:password@host/' })
    .optional(),
  CLAUDE_MODE: z.enum(['standin', 'live']).default('standin'),
  ANTHROPIC_API_KEY: z.string().optional(),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

/**
 * Checks flags and environment; an empty variable counts as unset.
 *
 * @throws LauncherError `config_unusable` with every problem at once.
 */
export function readLauncherConfig(env: Env, flags: readonly string[]): LauncherConfig {
  const problems = flags
    .filter((flag) => flag !== '--realistic')
    .map((flag) => `${flag}: the only flag is --realistic`)
  const set = Object.entries(env).filter(([, value]) => value !== undefined && value !== '')
  const parsed = schema.safeParse(Object.fromEntries(set))
  if (env.CLAUDE_MODE === 'live' && !env.ANTHROPIC_API_KEY) {
    problems.push('ANTHROPIC_API_KEY: CLAUDE_MODE=live needs a key; the stand-in needs none')
  }
  for (const { path, message } of parsed.error?.issues ?? []) {
    problems.push(`${path.join('.')}: ${message}`)
  }
  if (!parsed.success || problems.length > 0) {
    const list = problems.map((problem) => `  - ${problem}`).join('\n')
    throw new LauncherError('config_unusable', `Cannot start with these settings:\n${list}`)
  }
  const { CLAUDE_MODE, ANTHROPIC_API_KEY = '' } = parsed.data
  return {
    portOffset: parsed.data.PORT_OFFSET,
    dataDir: parsed.data.DATA_DIR,
    adminDatabaseUrl: parsed.data.ADMIN_DATABASE_URL,
    claude:
      CLAUDE_MODE === 'live' ? { mode: 'live', apiKey: ANTHROPIC_API_KEY } : { mode: 'standin' },
    logLevel: parsed.data.LOG_LEVEL,
    realistic: flags.includes('--realistic'),
  }
}

/**
 * The package brings its own Node; whoever runs a file by hand may have another.
 *
 * @throws LauncherError `node_too_old`.
 */
export function assertNode(version: string): void {
  if (Number(version.split('.')[0]) >= nodeMajor) return
  throw new LauncherError(
    'node_too_old',
    `Baton needs Node ${nodeMajor}: run it through npm (npm start), which brings its own Node. ` +
      `This is Node ${version}.`,
  )
}
