/**
 * `npm run chaos`: whatever dies or lies, nothing is lost and nothing doubled. Starts the platform
 * on loopback, does it harm, checks every promise, prints what it found, and exits 1 on any breach.
 *
 *     npm run chaos -- --kills 200 --seed 1 [--replicas 2]     the crash matrix
 *     npm run chaos -- --hostile --orders 2000 --seed 1        a model that lies, loops and stalls
 *     npm run chaos -- --soak 10000 [--seed 1]                 memory over many orders
 *     npm run chaos -- --rotate [--seed 1]                     the signing key rotates under load
 */
import { parseArgs } from 'node:util'
import { walk } from './cells.ts'
import { runHostile } from './hostile-run.ts'
import { runKills } from './kill-run.ts'
import { runRotation } from './rotate-run.ts'
import { runSoak } from './soak-run.ts'
import { endStages } from './stage.ts'

const portOffset = 20_900
const ordersPerSecond = 5
const rotationRate = 3

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    soak: { type: 'string' },
    hostile: { type: 'boolean', default: false },
    rotate: { type: 'boolean', default: false },
    orders: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    replicas: { type: 'string', default: '2' },
  },
})

const say = (line: string) => console.log(line)
const whole = (name: string, text: string | undefined, min: number, max: number): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new Error(`--${name} must be a whole number from ${min} to ${max}`)
}

async function main(): Promise<boolean> {
  const seed = whole('seed', values.seed, 1, 1_000_000)
  if (values.soak !== undefined) {
    return runSoak({ portOffset, orders: whole('soak', values.soak, 10, 1_000_000), seed, say })
  }
  if (values.hostile) {
    return runHostile({ portOffset, orders: whole('orders', values.orders, 1, 100_000), seed, say })
  }
  if (values.rotate) return runRotation({ portOffset, ordersPerSecond: rotationRate, seed, say })
  const replicas = whole('replicas', values.replicas, 1, 2)
  const kills = whole('kills', values.kills ?? '16', 1, 10_000)
  return runKills({ portOffset, replicas, walk: walk(kills, seed), seed, ordersPerSecond, say })
}

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => void endStages().finally(() => process.exit(130)))
}
const held = await main().catch((error: unknown) => {
  console.error(error)
  return false
})
process.exit(held ? 0 : 1)
