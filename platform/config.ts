/**
 * Configuration from the environment: one zod schema per process, every problem reported at once.
 * `X_FILE` beside a secret `X` names a file that holds it (Docker and Kubernetes secrets).
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

type Env = Readonly<Record<string, string | undefined>>

/** Thrown by `readConfig`; `problems` has one readable line each. */
export class ConfigError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`Configuration is not usable:\n${problems.map((p) => `  - ${p}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * Reads and checks the environment.
 *
 * @throws ConfigError naming every problem, so that an operator fixes them in one go.
 */
export function readConfig<S extends z.ZodObject>(schema: S, env: Env): Readonly<z.output<S>> {
  const problems: string[] = []
  const values: Record<string, string> = {}
  for (const name of Object.keys(schema.shape)) {
    const value = readValue(name, env, problems)
    if (value !== undefined && value !== '') values[name] = value
  }
  const parsed = schema.safeParse(values)
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = issue.path.join('.') || 'config'
      const absent = issue.code !== 'custom' && values[name] === undefined
      problems.push(`${name}: ${absent ? 'is required' : issue.message}`)
    }
  }
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems)
  return Object.freeze(parsed.data)
}

function readValue(name: string, env: Env, problems: string[]): string | undefined {
  const file = env[`${name}_FILE`]
  if (!file) return env[name]
  if (env[name]) {
    problems.push(`${name}: set either ${name} or ${name}_FILE, not both`)
    return undefined
  }
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    problems.push(`${name}_FILE: cannot read ${file} (${(error as NodeJS.ErrnoException).code})`)
    return undefined
  }
}

/** An integer in an environment variable, within limits. */
export const integer = (min: number, max: number) =>
  z.coerce.number('is not a number').int().min(min).max(max)
/** `true` or `false` in an environment variable. */
export const flag = z.enum(['true', 'false']).transform((value) => value === 'true')
/** A base URL without its trailing slash. */
export const baseUrl = z.url().transform((value) => value.replace(/\/+$/, ''))

/** `name=value,name=value` with percent-encoded values, as OpenTelemetry writes headers. */
const headerList = z.string().transform((text, context) => {
  try {
    const pairs = text.split(',').map((pair) => /^\s*([^=\s]+)\s*=(.*)$/.exec(pair)?.slice(1))
    return Object.fromEntries(
      pairs.map((pair) => {
        const [name, value] = pair ?? []
        if (name === undefined || value === undefined) throw new Error('not a pair')
        return [name, decodeURIComponent(value.trim())]
      }),
    )
  } catch {
    context.addIssue({ code: 'custom', message: 'must be name=value, comma-separated' })
    return z.NEVER
  }
})

/** Traces: the names are OpenTelemetry's own. Off unless there is an endpoint. */
const tracingConfig = z.object({
  /** The base URL of a collector that takes OTLP over HTTP, usually at port 4318. */
  OTEL_EXPORTER_OTLP_ENDPOINT: baseUrl.optional(),
  /** A secret, where the collector wants a key. */
  OTEL_EXPORTER_OTLP_HEADERS: headerList.optional(),
  OTEL_TRACES_SAMPLER: z
    .enum([
      ...(['always_on', 'always_off', 'traceidratio'] as const),
      ...(['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'] as const),
    ])
    .default('parentbased_always_on'),
  /** The share of traces that a ratio sampler keeps. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number('is not a number').min(0).max(1).default(1),
  /** Puts prompts, answers and tool arguments into spans: personal text. */
  TRACE_CONTENT: flag.default(false),
})
export type TracingConfig = Readonly<z.output<typeof tracingConfig>>

/** What every HTTP process reads. */
export const processConfig = tracingConfig.extend({
  HOST: z.string().default('127.0.0.1'),
  PORT: integer(1, 65_535),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** How long a stop may take before what still runs is cut off. */
  DRAIN_SECONDS: integer(1, 600).default(20),
  /** How long a stop still takes new requests, while /readyz says no: a load balancer must see it. */
  DRAIN_ACCEPT_MS: integer(0, 60_000).default(1_000),
})

/** What every process that offers tools reads. */
export const doorConfig = z.object({
  /** Of one client, by one process; a client that was quiet may make the burst at once. */
  CLIENT_CALLS_PER_SECOND: integer(1, 1_000_000).default(500),
  CLIENT_CALLS_BURST: integer(1, 1_000_000).default(2_000),
  /** How long the rows of tool calls are kept. */
  TOOL_CALL_DAYS: integer(1, 3_650).default(30),
})

/** What every process with a database reads. Milliseconds unless the name says seconds. */
export const databaseConfig = z.object({
  DATABASE_URL: z.string().min(1),
  DATABASE_POOL_MAX: integer(1, 100).default(10),
  /** Of one statement; a connection is waited for at most 5 seconds. */
  DATABASE_TIMEOUT_MS: integer(100, 300_000).default(15_000),
})

/** Runs a rule over several settings also when one of them has a problem of its own. */
const always = () => true

/**
 * What every process with an agent reads. Start from this schema and extend it: its rules survive
 * `claudeConfig.extend(...)`, but not `other.extend(claudeConfig.shape)`.
 */
export const claudeConfig = z
  .object({
    CLAUDE_MODE: z.enum(['standin', 'live']),
    /** The stand-in; in live mode a gateway in front of Claude, and Claude itself when absent. */
    CLAUDE_URL: baseUrl.optional(),
    ANTHROPIC_API_KEY: z.string().optional(),
  })
  .refine((config) => config.CLAUDE_MODE !== 'live' || config.ANTHROPIC_API_KEY !== undefined, {
    path: ['ANTHROPIC_API_KEY'],
    error: 'is required when CLAUDE_MODE is live',
    when: always,
  })
  .refine((config) => config.CLAUDE_MODE !== 'standin' || config.CLAUDE_URL !== undefined, {
    path: ['CLAUDE_URL'],
    error: 'is required when CLAUDE_MODE is standin',
    when: always,
  })
