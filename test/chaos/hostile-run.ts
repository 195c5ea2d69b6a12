/** Orders under a model that lies, loops, stalls and obeys whoever wrote the note. */
import { checkHostile, readAnswers } from './hostile-checks.ts'
import type { GivenAnswer } from './hostile-facts.ts'
import { limitsOf } from './hostile-limits.ts'
import { hostileOrders } from './hostile-orders.ts'
import { takeSnapshot } from './hostile-policy.ts'
import { checkBooks } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { breachLines, outcomeLines } from './report.ts'
import { fillStock, settle } from './settle.ts'
import { startStage } from './stage.ts'

export interface HostileRunOptions {
  readonly portOffset: number
  readonly orders: number
  readonly seed: number
  readonly say: (line: string) => void
}

const clients = 8
const [turnMs, runMs] = [800, 2_500]
const plenty = 100_000
const skus = ['ABC123', 'DEF456', 'DEF457', 'PQR678']
const progressEvery = 250
/** Slow ones are rare: each takes all the time there is, and the breaker rests all others. */
const mix = {
  ...{ honest: 3, liar: 2, injected: 2, looper: 1, flooder: 1 },
  ...{ truncator: 1, refuser: 1, garbage: 3, slow: 0.3 },
}

/** Returns whether every promise held. */
export async function runHostile({ portOffset, orders, seed, say }: HostileRunOptions) {
  const startedAt = performance.now()
  say(`${orders} orders, seed ${seed}, personas ${JSON.stringify(mix)}`)
  const env = {
    all: { AGENT_TURN_MS: String(turnMs), AGENT_RUN_MS: String(runMs) },
    'claude-standin': { PERSONAS: JSON.stringify(mix), PERSONA_SEED: String(seed) },
  }
  await using stage = await startStage({ portOffset, replicas: 1, env })
  for (const sku of skus) await fillStock(stage, sku, plenty)
  const before = await takeSnapshot(stage.rows)
  const answers: GivenAnswer[] = []
  const onAnswer = (orderId: string, body: unknown) => void answers.push({ orderId, body })
  const ledger = new Ledger(stage.fronts, { onAnswer })
  const next = hostileOrders(seed)
  const client = async () => {
    while (ledger.entries.length < orders) {
      const { answered } = ledger.submit({ ...next(), waitSeconds: 30 })
      if (ledger.entries.length % progressEvery === 0) say(`  ${ledger.entries.length} orders`)
      await answered
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  await ledger.answered()
  await settle(stage)
  const books = await checkBooks(stage, ledger)
  const breaches = [
    ...books.breaches,
    ...(await checkHostile({
      rows: stage.rows,
      carrierUrl: stage.platform.urls['carrier-standin'],
      answers: [...answers, ...(await readAnswers(stage.front, stage.rows))],
      before,
      limits: limitsOf({ turnMs, runMs }),
    })),
  ]
  const cast = await fetch(`${stage.platform.urls['claude-standin']}/personas`)
  const { begun } = (await cast.json()) as { begun: Record<string, number> }
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  say(`Conversations begun by persona: ${JSON.stringify(begun)}`)
  say(outcomeLines(books, ledger))
  say(`Took ${seconds} s`)
  say(breachLines(breaches))
  return breaches.length === 0
}
