/**
 * The signing key rotates under a stream of orders, two replicas of everything, with the caches and
 * the lead of production: no request may fail for it. Takes the lead (7 minutes at least) and a bit.
 */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Breach, checkBooks } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { orderMix } from './orders.ts'
import { breachLines, outcomeLines } from './report.ts'
import { fillStock, settle } from './settle.ts'
import { type Stage, startStage } from './stage.ts'
import { startStream } from './stream.ts'

const plenty = 1_000_000
const leadSeconds = 420
const beforeMs = 15_000
/** After the switch: every process has met the new key many times by then. */
const afterMs = 45_000
const lookMs = 5_000
const command = resolve(import.meta.dirname, '../../launcher/command-main.ts')

export interface RotateRun {
  readonly portOffset: number
  readonly ordersPerSecond: number
  readonly seed: number
  readonly say: (line: string) => void
}

/** Returns whether every request went through and every promise held. */
export async function runRotation(options: RotateRun): Promise<boolean> {
  const { portOffset, ordersPerSecond, seed, say } = options
  const timing = { KEY_LEAD_SECONDS: String(leadSeconds), KEY_REFRESH_SECONDS: '30' }
  await using stage = await startStage({ portOffset, replicas: 2, env: { orchestrator: timing } })
  await fillStock(stage, 'ABC123', plenty)
  await fillStock(stage, 'DEF457', plenty)
  const ledger = new Ledger(stage.fronts)
  const stream = startStream(ledger, orderMix(seed), ordersPerSecond)
  await delay(beforeMs)
  const before = await newestSigner(stage)
  say(await rotate(stage, timing))
  const startedAt = performance.now()
  let seen = 0
  while ((await newestSigner(stage)) === before) {
    await delay(lookMs)
    if (ledger.entries.length < seen) continue
    seen = ledger.entries.length + ordersPerSecond * 60
    const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
    say(`${minutes} min: ${ledger.entries.length} orders, signed by the old key`)
  }
  const atSwitch = ledger.entries.length
  await delay(afterMs)
  await stream.end()
  say(`The new key signs; ${ledger.entries.length - atSwitch} orders since`)
  await settle(stage)
  const { breaches, ...books } = await checkBooks(stage, ledger)
  const refusals = await refusedTokens(stage)
  const all: Breach[] = [...breaches, ...refusals, ...troubles(ledger)]
  say(outcomeLines({ ...books, breaches: all }, ledger))
  say(breachLines(all))
  return all.length === 0
}

async function rotate(stage: Stage, timing: Record<string, string>): Promise<string> {
  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: stage.platform.databaseUrls.orchestrator,
    KEY_ENCRYPTION_KEY_FILE: stage.keyEncryptionKeyFile,
    ...timing,
  }
  const args = [command, 'orchestrator/keys.ts', 'rotate']
  return (await promisify(execFile)(process.execPath, args, { env })).stdout.trim()
}

/** The key that signs now, by the database's clock. */
async function newestSigner(stage: Stage): Promise<string | undefined> {
  const [row] = await stage.rows<{ kid: string }>(
    'orchestrator',
    'select kid from signing_key where signs_from <= now() order by signs_from desc limit 1',
  )
  return row?.kid
}

/** What the services counted: every refusal of a token is one too many. */
async function refusedTokens({ platform }: Stage): Promise<Breach[]> {
  const texts = await Promise.all(
    Object.entries(platform.urls)
      .filter(([name]) => !name.endsWith('standin'))
      .map(async ([name, url]) => [name, await (await fetch(`${url}/metrics`)).text()] as const),
  )
  return texts.flatMap(([name, text]) =>
    text
      .split('\n')
      .filter((line) => line.startsWith('auth_refusals_total'))
      .map((detail) => ({ what: 'a token was refused', detail: `${name}: ${detail}` })),
  )
}

/** What clients had to repeat. */
const troubles = (ledger: Ledger): Breach[] =>
  [...ledger.troubles].map(([trouble, count]) => ({
    ...{ what: 'a request failed', detail: `${count} × ${trouble}` },
  }))
