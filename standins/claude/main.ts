/** Runs the Claude stand-in as a process of its own. Settings: PORT, HOST, LOG_LEVEL, LATENCY_*_MS. */

import { z } from 'zod'
import { banner, createClaudeStandin } from './app.ts'

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    'Baton needs Node 24: run it through npm (npm start), which brings its own Node\n',
  )
  process.exit(1)
}

const shutdownMsMax = 10_000
const latencyMs = z.coerce.number().int().min(0).max(120_000).default(0)
const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(4010),
  HOST: z.string().min(1).default('127.0.0.1'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LATENCY_HAIKU_MS: latencyMs,
  LATENCY_SONNET_MS: latencyMs,
  LATENCY_OPUS_MS: latencyMs,
})

const read = environment.safeParse(process.env)
if (!read.success) {
  process.stderr.write(`Claude stand-in: bad settings\n${z.prettifyError(read.error)}\n`)
  process.exit(1)
}
const { PORT, HOST, LOG_LEVEL, LATENCY_HAIKU_MS, LATENCY_SONNET_MS, LATENCY_OPUS_MS } = read.data

const app = createClaudeStandin({
  logLevel: LOG_LEVEL,
  latencyMs: { haiku: LATENCY_HAIKU_MS, sonnet: LATENCY_SONNET_MS, opus: LATENCY_OPUS_MS },
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
