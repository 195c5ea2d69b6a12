/** Runs the Claude stand-in as a process of its own. Settings: see README.md. */

import { z } from 'zod'
import { banner, createClaudeStandin } from './app.ts'
import { personaMix, personaSeed } from './personas/cast.ts'

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    'Baton needs Node 24: run it through npm (npm start), which brings its own Node\n',
  )
  process.exit(1)
}

const shutdownMsMax = 10_000
const latencyMs = z.coerce.number().int().min(0).max(120_000).default(0)
const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue('must be JSON, such as {"liar":1,"honest":2}')
    return z.NEVER
  }
})
const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(4010),
  HOST: z.string().min(1).default('127.0.0.1'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LATENCY_HAIKU_MS: latencyMs,
  LATENCY_SONNET_MS: latencyMs,
  LATENCY_OPUS_MS: latencyMs,
  PERSONAS: json.pipe(personaMix).optional(),
  PERSONA_SEED: z.coerce.number().pipe(personaSeed).default(1),
})

const read = environment.safeParse(process.env)
if (!read.success) {
  process.stderr.write(`Claude stand-in: bad settings\n${z.prettifyError(read.error)}\n`)
  process.exit(1)
}
const { PORT, HOST, LOG_LEVEL, LATENCY_HAIKU_MS, LATENCY_SONNET_MS, LATENCY_OPUS_MS } = read.data
const { PERSONAS: mix, PERSONA_SEED: seed } = read.data

const app = createClaudeStandin({
  logLevel: LOG_LEVEL,
  latencyMs: { haiku: LATENCY_HAIKU_MS, sonnet: LATENCY_SONNET_MS, opus: LATENCY_OPUS_MS },
  ...(mix === undefined ? {} : { personas: { mix, seed } }),
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    setTimeout(() => process.exit(1), shutdownMsMax).unref()
    app.close().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  })
}
await app.listen({ port: PORT, host: HOST, listenTextResolver: banner })
