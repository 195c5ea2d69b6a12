/** Starts the carrier stand-in. SIGTERM or SIGINT lets requests under way finish, then stops. */
import { buildCarrierStandIn } from './app.ts'
import { type CarrierConfig, readConfig } from './config.ts'

if (Number(process.versions.node.split('.')[0]) < 24) {
  fail('Baton needs Node 24: run it through npm (npm start), which brings its own Node')
}

const config = readOrFail()
const app = await buildCarrierStandIn({
  dataFile: config.DATA_FILE,
  publicUrl: config.PUBLIC_URL,
  refundDelayMs: config.REFUND_DELAY_MS,
  faults: config.FAULTS,
  logLevel: config.LOG_LEVEL,
})
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void app.close())

app.log.level = 'silent' // Fastify writes one line per address; ours is the only one.
const url = await app.listen({ port: config.PORT, host: config.HOST })
app.log.level = config.LOG_LEVEL
app.log.info({ url, dataFile: config.DATA_FILE, standIn: true }, 'carrier stand-in is listening')

function readOrFail(): CarrierConfig {
  try {
    return readConfig(process.env)
  } catch (error) {
    return fail((error as Error).message)
  }
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
