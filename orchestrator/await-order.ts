/** Waits for the end of an order, as long as its caller wants, and answers with where it stands. */
import { databaseFault, type Pool } from '../platform/db.ts'
import { isNamed } from '../platform/errors.ts'
import { type AnswerSettings, buildAnswer } from './answer.ts'
import { type OrderRow, readOrder } from './order-store.ts'
import type { OrderWatch } from './order-watch.ts'

export const waitSecondsMax = 120

export interface AwaitDeps {
  readonly pool: Pool
  readonly watch: OrderWatch
  readonly answers: AnswerSettings
}

export type OrderAnswer = Awaited<ReturnType<typeof buildAnswer>>

/** The answer at the order's end, or as it stands when `signal` aborts before. */
export async function answerWhenEnded(
  deps: AwaitDeps,
  taken: OrderRow,
  signal: AbortSignal,
): Promise<{ answer: OrderAnswer; hasEnded: boolean }> {
  const { orderId } = taken
  const look = passing(async () => {
    const row = await readOrder(deps.pool, orderId)
    return row.status === 'running' ? undefined : buildAnswer(deps.pool, row, deps.answers)
  })
  const ended = await deps.watch.until(orderId, signal, look, 'order_finished')
  if (ended !== undefined) return { answer: ended, hasEnded: true }
  const row = await passing(() => readOrder(deps.pool, orderId))()
  return { answer: await buildAnswer(deps.pool, row ?? taken, deps.answers), hasEnded: false }
}

/** The order is accepted: a database that is away for a moment is looked at again, no error. */
const passing =
  <T>(look: () => Promise<T | undefined>) =>
  () =>
    look().catch((cause: unknown) => {
      const fault = databaseFault(cause)
      if (isNamed(fault) && fault.kind === 'unavailable') return undefined
      throw cause
    })
