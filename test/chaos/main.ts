/**
 * `npm run chaos`: whatever dies or lies, nothing is lost and nothing doubled. Starts the platform
 * on loopback, does it harm, checks every promise, prints what it found, and exits 1 on any breach.
 *
 *     npm run chaos -- --kills 200 --seed 1 [--replicas 2]     the crash matrix
 *     npm run chaos -- --soak 10000 [--seed 1]                 memory over many orders
 */
import { parseArgs } from 'node:util'
import { walk } from './cells.ts'
import { runKills } from './kill-run.ts'
import { runSoak } from './soak-run.ts'

const portOffset = 34_000
const ordersPerSecond = 5

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    soak: { type: 'string' },
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
  const replicas = whole('replicas', values.replicas, 1, 2)
  const kills = whole('kills', values.kills ?? '16', 1, 10_000)
  return runKills({ portOffset, replicas, walk: walk(kills, seed), seed, ordersPerSecond, say })
}

const held = await main().catch((error: unknown) => {
  console.error(error)
  return false
})
process.exit(held ? 0 : 1)
