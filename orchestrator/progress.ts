/** Tells a caller who waits of every step that ends. */
import type { CallContext } from '../platform/tool.ts'
import type { AwaitDeps } from './await-order.ts'
import { readEvents, type StepReport } from './order-events.ts'
import { type OrderRow, readOrder } from './order-store.ts'

/** An ordinary order has so many; the total is a hint and grows with what is really done. */
const ordinarySteps = 10
const batchMax = 100

/** Returns when the order has ended or `signal` aborts; a caller that cannot be told is let be. */
export async function tellProgress(
  { pool, watch }: AwaitDeps,
  { orderId }: OrderRow,
  signal: AbortSignal,
  tell: NonNullable<CallContext['progress']>,
): Promise<void> {
  let seen = 0
  let done = 0
  const look = async () => {
    const hasEnded = (await readOrder(pool, orderId)).status !== 'running'
    const events = await readEvents(pool, orderId, seen, batchMax)
    for (const { seq, type, data } of events) {
      seen = seq
      if (type !== 'step_finished') continue
      const { name, state } = data as StepReport
      done += 1
      await tell(done, Math.max(ordinarySteps, done), `${name}: ${state}`)
    }
    return hasEnded || undefined
  }
  await watch.until(orderId, signal, () => look().catch(() => undefined))
}
