/** The carrier stand-in inside the test process: faults on order, and a look at its books. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildCarrierStandIn } from '../../standins/carrier/app.ts'

export interface Fault {
  readonly route: 'create' | 'buy' | 'refund' | 'rates' | 'get' | 'address'
  readonly kind:
    | 'status'
    | 'status_after_effect'
    | 'reset'
    | 'stall'
    | 'stall_after_effect'
    | 'refuse'
  readonly status?: 500 | 503 | 429
  readonly times?: number
}

export interface CarrierTotals {
  readonly shipments: number
  readonly bought: number
  readonly refundSubmitted: number
  readonly refunded: number
  /** Bought and nobody asked for the money back. */
  readonly live: number
}

export interface TestCarrier extends AsyncDisposable {
  /** What services take as CARRIER_URL. */
  readonly url: string
  /** Orders a fault for the next requests. */
  fault(fault: Fault): Promise<void>
  clearFaults(): Promise<void>
  /** What the carrier's books say, of one `orderId:round` or of all. */
  book(reference?: string): Promise<CarrierTotals>
  /** Grants every refund asked for. */
  settleRefunds(): Promise<void>
}

/** A key that the stand-in takes. */
export const testCarrierKey = 'EZTK-test'

/** Starts a carrier with empty books on a free port of loopback. */
export async function testCarrier(): Promise<TestCarrier> {
  const folder = await mkdtemp(join(tmpdir(), 'baton-carrier-'))
  const app = await buildCarrierStandIn({ dataFile: join(folder, 'book.jsonl') })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const ask = async (method: string, path: string, body?: object): Promise<unknown> => {
    const response = await fetch(`${url}/standin/${path}`, {
      method,
      ...(body && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`)
    return response.json()
  }
  return {
    url,
    fault: async (fault) => {
      await ask('POST', 'faults', fault)
    },
    clearFaults: async () => {
      await ask('DELETE', 'faults')
    },
    book: async (reference) => {
      const query = reference === undefined ? '' : `?reference=${encodeURIComponent(reference)}`
      return ((await ask('GET', `book${query}`)) as { totals: CarrierTotals }).totals
    },
    settleRefunds: async () => {
      await ask('POST', 'refunds', {})
    },
    [Symbol.asyncDispose]: async () => {
      const closed = app.close()
      app.server.closeAllConnections() // a client that gave up may leave one open and silent
      await closed
      await rm(folder, { recursive: true, force: true })
    },
  }
}
