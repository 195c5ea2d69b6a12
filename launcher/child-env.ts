/** The environment of a child process, made up from nothing. */
import type { ProcessSpec, Setup } from './process-specs.ts'

/** All that is handed on of our own: no key of anybody's gets through by accident. */
const inheritedNames = [
  ...['PATH', 'HOME', 'NODE_EXTRA_CA_CERTS'],
  ...['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_TRACES_SAMPLER', 'OTEL_TRACES_SAMPLER_ARG'],
  'TRACE_CONTENT',
]
/** Shorter than the launcher's patience (15 s), so that a process ends by itself. */
const drainSeconds = 10

/** The whole environment of a process; `more` wins over what we would set. */
export function childEnv(
  spec: ProcessSpec,
  setup: Setup,
  logLevel: string,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const inherited = inheritedNames.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(inherited),
    PORT: String(spec.port),
    LOG_LEVEL: logLevel,
    DRAIN_SECONDS: String(drainSeconds),
    // No load balancer stands in front of us.
    DRAIN_ACCEPT_MS: '0',
    ...spec.env(setup),
    ...more,
  }
}
