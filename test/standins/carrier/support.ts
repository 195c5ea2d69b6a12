/** A carrier stand-in on an ephemeral port, with its book in a directory of its own. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildCarrierStandIn, type CarrierStandInOptions } from '../../../standins/carrier/app.ts'

export const KEY = 'EZTK_for_tests'

export const basic = (key: string) => `Basic ${Buffer.from(`${key}:`).toString('base64')}`

export const WAREHOUSE = {
  company: 'Baton Warehouse',
  street1: '500 Distribution Way',
  city: 'Reno',
  state: 'NV',
  zip: '89502',
  country: 'US',
}

export const CUSTOMER = {
  name: 'John Doe',
  street1: '742 Evergreen Terrace',
  city: 'Springfield',
  state: 'OR',
  zip: '97477',
  country: 'US',
}

export const BERLIN = {
  name: 'Erika Mustermann',
  street1: 'Torstr. 1',
  city: 'Berlin',
  zip: '10119',
  country: 'DE',
}

export const CUSTOMS = {
  customs_certify: true,
  customs_signer: 'Jane Roe',
  contents_type: 'merchandise',
  customs_items: [
    { description: 'Cup', quantity: 2, value: '24', weight: 20, origin_country: 'US' },
  ],
}

/** A domestic parcel of 38.4 oz, unless told otherwise. */
export const parcelTo = (to: object = CUSTOMER, more: object = {}) => ({
  shipment: {
    to_address: to,
    from_address: WAREHOUSE,
    parcel: { weight: 38.4, length: 10, width: 8, height: 4 },
    reference: `order-${randomUUID()}`,
    ...more,
  },
})

// The vendor's JSON, read by tests only: its shape is what they assert.
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Json = any

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Json
}

export type Carrier = Awaited<ReturnType<typeof startCarrier>>

/** Starts a server; `stop` keeps the book for a next one, disposing removes the directory as well. */
export async function startCarrier(options: Partial<CarrierStandInOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'carrier-'))
  const dataFile = options.dataFile ?? join(directory, 'deep', 'book.jsonl')
  const app = await buildCarrierStandIn({ ...options, dataFile })
  const base = await app.listen({ port: 0, host: '127.0.0.1' })

  const call = async (method: string, path: string, body?: unknown, headers: object = {}) => {
    const response = await fetch(base + path, {
      method,
      headers: {
        authorization: basic(KEY),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      body: await response.json(),
    }
    return answer
  }
  const post = (path: string, body?: unknown, headers?: object) => call('POST', path, body, headers)

  return {
    app,
    base,
    dataFile,
    call,
    post,
    get: (path: string) => call('GET', path),
    /** Creates a shipment and returns its JSON. */
    create: async (request: object = parcelTo()): Promise<Json> =>
      (await post('/v2/shipments', request)).body,
    buy: (shipment: Json, rate: Json = shipment.rates[0]) =>
      post(`/v2/shipments/${shipment.id}/buy`, { rate: { id: rate.id } }),
    stop: () => app.close(),
    [Symbol.asyncDispose]: async () => {
      await app.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Asks again until the answer is yes: no sleeping, and not for ever. */
export async function until(condition: () => Promise<boolean>, triesMax = 2_000): Promise<void> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    if (await condition()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error('the condition never came true')
}
