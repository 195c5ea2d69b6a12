/** Orders of every kind at a steady pace, as clients send them. */
import { setTimeout as delay } from 'node:timers/promises'
import { post, postJson, postOrder } from '../system/client.ts'

/** Ordinary ones mostly; backordered, held, abroad and rejected ones between. */
const mix = [
  { sku: 'ABC123', qty: 1, customer: 'John Doe' },
  { sku: 'ABC123', qty: 2, customer: 'Max Mustermann' },
  { sku: 'DEF456', qty: 50, customer: 'John Doe' },
  { sku: 'ABC123', qty: 1, customer: 'John Doe' },
  { sku: 'DEF457', qty: 1, customer: 'Max Mustermann' },
  { sku: 'ABC123', qty: 1, customer: 'John Doe' },
  { sku: 'MNO345', qty: 1, customer: 'John Doe' },
  { sku: 'ABC123', qty: 1, customer: 'Jane Roe' },
] as const

export interface Traffic {
  /** Sends no more, and waits until each is answered. */
  stop(): Promise<void>
}

/** An order every `everyMs`, to each URL in turn; one in four is left to whoever picks it up. */
export function startTraffic(urls: readonly string[], everyMs: number): Traffic {
  const ended = new AbortController()
  const answers = new Set<Promise<unknown>>()
  const send = (i: number) => {
    const url = urls[i % urls.length] ?? ''
    const headers = i % 4 === 3 ? { prefer: 'respond-async' } : {}
    // A process may be away on purpose: what an order is told is not what this test is about.
    const answer = postOrder(url, mix[i % mix.length], headers).catch(() => {})
    answers.add(answer)
    void answer.finally(() => answers.delete(answer))
  }
  const loop = (async () => {
    for (let i = 0; !ended.signal.aborted; i++) {
      send(i)
      await delay(everyMs, undefined, { signal: ended.signal }).catch(() => {})
    }
  })()
  return {
    stop: async () => {
      ended.abort()
      await loop
      await Promise.all(answers)
    },
  }
}

/** One ordinary order, and how it stands when it is answered. */
export async function oneOrder(url: string): Promise<{ orderId: string; status: string }> {
  return (await postOrder(url, mix[0], { prefer: 'wait=100' })).body
}

/** Orders that run in this process when it resolves: none has ended, models take longer. */
export async function beginOrders(url: string, count: number): Promise<void> {
  const begin = () => postOrder(url, mix[0], { prefer: 'wait=0' })
  await Promise.all(Array.from({ length: count }, begin))
}

export async function resume(url: string, orderId: string): Promise<void> {
  await post(`${url}/orders/${orderId}/resume`)
}

/** The next requests to a model line are answered with this status; 0 times clears all. */
export async function failModel(standin: string, faults: readonly object[]): Promise<void> {
  if (faults.length === 0) await fetch(`${standin}/faults`, { method: 'DELETE' })
  else await postJson(`${standin}/faults`, { faults })
}
