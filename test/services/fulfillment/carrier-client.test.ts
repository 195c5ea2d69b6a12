import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import { createCarrierClient } from '../../../services/fulfillment/carrier-client.ts'
import { freePort } from '../../support/free-port.ts'
import { type TestCarrier, testCarrier } from '../../support/test-carrier.ts'
import { abroad, carrierAt, home, line, warehouse } from './parcels.ts'

const signal = new AbortController().signal
const parcel = { shipTo: home, lines: [line(5)], weightGrams: 1_750 }

describe("the carrier's client", () => {
  let carrier: TestCarrier

  before(async () => {
    carrier = await testCarrier()
  })
  after(() => carrier[Symbol.asyncDispose]())
  afterEach(() => carrier.clearFaults())

  it('quotes a parcel in cents and keeps nothing at the carrier', async () => {
    const before = await carrier.book()

    const { rates, messages } = await carrierAt(carrier.url).quoteRates(parcel, signal)

    // 61.7 oz: 4.78 and 9 cents for each of 62 begun ounces.
    assert.deepEqual(
      rates.map(({ id, carrier, service, priceCents, deliveryDays }) => {
        return [id, carrier, service, priceCents, deliveryDays]
      }),
      [
        [null, 'StandInPost', 'Ground', 1_036, 5],
        [null, 'StandInPost', 'Priority', 1_710, 2],
        [null, 'StandInPost', 'Express', 4_733, 1],
      ],
    )
    assert.match(rates[0]?.deliveryDate ?? '', /^\d{4}-\d\d-\d\dT/)
    assert.deepEqual(messages, [])
    assert.deepEqual(await carrier.book(), before)
  })

  it('gets no offers and a reason for a parcel that nobody takes', async () => {
    const heavy = { ...parcel, weightGrams: 31_000 }
    const { rates, messages } = await carrierAt(carrier.url).quoteRates(heavy, signal)

    assert.deepEqual(rates, [])
    assert.match(messages.join(), /^StandInPost: .*limit/)
  })

  it('tells a good address from one that cannot be found', async () => {
    const client = carrierAt(carrier.url)

    assert.deepEqual(await client.verifyAddress(home, signal), { deliverable: true, problems: [] })
    const nowhere = await client.verifyAddress({ ...home, country: 'XX' }, signal)
    assert.equal(nowhere.deliverable, false)
    assert.match(nowhere.problems.join(), /ISO 3166/)
  })

  it('buys, reads and refunds a shipment', async () => {
    const client = carrierAt(carrier.url)

    const created = await client.createShipment(parcel, 'order-1:1')
    const ground = created.rates.find((rate) => rate.service === 'Ground')
    const bought = await client.buy(created.id, ground?.id ?? '')
    const refunded = await client.requestRefund(created.id)

    assert.equal(created.postage, undefined)
    assert.equal(bought.postage?.costCents, 1_036)
    assert.match(bought.postage?.trackingNumber ?? '', /^SAMPLE\d+$/)
    assert.equal(bought.refund, 'none')
    assert.equal(refunded.refund, 'requested')
    assert.deepEqual((await client.getShipment(created.id)).postage, bought.postage)
    const pdf = await client.downloadLabel(bought.postage?.labelUrl ?? '')
    assert.equal(pdf.toString('latin1', 0, 5), '%PDF-')
    await carrier.settleRefunds()
    assert.equal((await client.getShipment(created.id)).refund, 'refunded')
  })

  it('declares what is in a parcel that leaves the country', async () => {
    const client = carrierAt(carrier.url)
    const international = { ...parcel, shipTo: abroad }

    const created = await client.createShipment(international, 'order-2:1')
    const rate = created.rates.find(({ service }) => service === 'InternationalStandard')
    const bought = await client.buy(created.id, rate?.id ?? '')

    // The carrier refuses to sell this postage without customs items.
    assert.equal(bought.postage?.costCents, 1_450 + 62 * 42)
  })

  it('names what the carrier refuses for good', async () => {
    const client = carrierAt(carrier.url)
    const created = await client.createShipment(parcel, 'order-3:1')
    const rateId = created.rates[0]?.id ?? ''

    await assert.rejects(client.requestRefund(created.id), {
      kind: 'rejected',
      code: 'refund_refused',
    })
    await carrier.fault({ route: 'buy', kind: 'refuse' })
    await assert.rejects(client.buy(created.id, rateId), { kind: 'rejected', code: 'no_service' })
    await client.buy(created.id, rateId)
    await assert.rejects(client.buy(created.id, rateId), {
      kind: 'rejected',
      code: 'already_bought',
    })
    await assert.rejects(client.getShipment('shp_unknown'), {
      kind: 'missing',
      code: 'no_carrier_shipment',
    })
    const refusedStreet = { ...home, street1: '1 REFUSED Road' }
    const refused = await client.createShipment({ ...parcel, shipTo: refusedStreet }, 'order-4:1')
    await assert.rejects(client.buy(refused.id, refused.rates[0]?.id ?? ''), {
      kind: 'rejected',
      code: 'address_refused',
    })
  })

  it('says that our key is refused', async () => {
    const client = createCarrierClient({
      labelOrigins: [],
      url: carrier.url,
      apiKey: 'EZAK-production-key',
      warehouse,
      timeoutMs: 1_000,
      retry: { attemptsMax: 3, backoffMinMs: 1, backoffMaxMs: 1 },
    })

    await assert.rejects(client.quoteRates(parcel, signal), {
      kind: 'denied',
      code: 'carrier_key_refused',
    })
  })

  it('repeats safe reads and nothing else', async () => {
    const client = carrierAt(carrier.url)
    const created = await client.createShipment(parcel, 'order-5:1')
    const down = { kind: 'unavailable', code: 'carrier_unavailable' }

    for (const route of ['rates', 'get', 'create', 'buy'] as const) {
      await carrier.fault({ route, kind: 'status', status: 503, times: 2 })
    }
    assert.equal((await client.quoteRates(parcel, signal)).rates.length, 3)
    assert.equal((await client.getShipment(created.id)).id, created.id)
    await assert.rejects(client.createShipment(parcel, 'order-6:1'), down)
    await assert.rejects(client.buy(created.id, created.rates[0]?.id ?? ''), down)
    assert.equal((await carrier.book('order-6:1')).shipments, 0)

    await carrier.clearFaults()
    await carrier.fault({ route: 'rates', kind: 'status', status: 429, times: 3 })
    await assert.rejects(client.quoteRates(parcel, signal), {
      ...down,
      details: { retryAfterMs: 1_000 },
    })
  })

  it('gives up on a carrier that does not answer', async () => {
    const client = carrierAt(carrier.url, 150)
    const created = await client.createShipment(parcel, 'order-7:1')
    await carrier.fault({ route: 'buy', kind: 'stall' })
    const startedAt = performance.now()

    await assert.rejects(client.buy(created.id, created.rates[0]?.id ?? ''), {
      kind: 'unavailable',
      code: 'carrier_unavailable',
      message: 'The carrier did not answer in time',
    })
    assert.ok(performance.now() - startedAt < 1_500)
  })

  it('stops calling a carrier that keeps failing', async () => {
    const client = carrierAt(`http://127.0.0.1:${await freePort()}`)
    const codes: string[] = []
    for (let call = 0; call < 9; call++) {
      await client
        .createShipment(parcel, 'order-8:1')
        .catch((error: { code: string }) => codes.push(error.code))
    }

    assert.deepEqual(codes, [...Array<string>(8).fill('carrier_unavailable'), 'circuit_open'])
  })
})

describe("the carrier's answers", () => {
  let answer: (request: IncomingMessage, response: ServerResponse) => void
  const server = createServer((request, response) => answer(request, response))
  let url: string

  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  const says = (status: number, body: unknown) => {
    answer = (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    }
  }
  const refuses = (status: number, code: string, errors: unknown[] = []) =>
    says(status, { error: { code, message: 'No', errors } })

  it('leave open whether postage was bought when the carrier below did not answer', async () => {
    for (const code of [
      'SHIPMENT.POSTAGE.NO_RESPONSE',
      'SHIPMENT.POSTAGE.TIMED_OUT',
      'SHIPMENT.PURCHASE.IN_PROGRESS',
    ]) {
      refuses(422, code)
      await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), { kind: 'unavailable' }, code)
    }
  })

  it('may list errors as texts', async () => {
    refuses(422, 'SHIPMENT.INVALID_PARAMS', ['weight is too small'])

    await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), {
      kind: 'rejected',
      code: 'no_service',
      message: 'The carrier refused: No weight is too small',
    })
  })

  it('tell an operator about money and malformed requests', async () => {
    refuses(402, 'PAYMENT_REQUIRED')
    await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), {
      kind: 'denied',
      code: 'carrier_unpaid',
    })
    refuses(400, 'BAD_REQUEST')
    await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), { kind: 'internal' })
  })

  it('that make no sense are no answers', async () => {
    for (const body of ['<html>gateway</html>', '{}', { id: 'shp_1', rates: 'none' }]) {
      says(200, body)
      await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), {
        kind: 'unavailable',
        code: 'carrier_unavailable',
      })
    }
    says(200, 'x'.repeat(3_000_000))
    await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), { kind: 'unavailable' })
  })

  it('with postage but no label yet are unfinished', async () => {
    says(200, { id: 'shp_1', rates: [], tracking_code: '9400', postage_label: null })

    await assert.rejects(carrierAt(url).buy('shp_1', 'rate_1'), { kind: 'unavailable' })
  })

  it('turn a parcel or an address that is refused outright into a finding', async () => {
    refuses(422, 'SHIPMENT.INVALID_PARAMS', [{ field: 'parcel', message: 'too small' }])
    const { rates, messages } = await carrierAt(url).quoteRates(parcel, signal)
    assert.deepEqual(rates, [])
    assert.match(messages.join(), /too small/)

    refuses(422, 'ADDRESS.VERIFY.FAILURE')
    const check = await carrierAt(url).verifyAddress(home, signal)
    assert.equal(check.deliverable, false)
  })

  it('in other currencies, and prices that are no numbers, are no offers', async () => {
    const rate = { carrier: 'USPS', service: 'First', rate: '5.49', currency: 'USD' }
    says(200, {
      rates: [
        { ...rate, delivery_days: null, est_delivery_days: 3 },
        { ...rate, service: 'Euro', currency: 'EUR' },
        { ...rate, service: 'Odd', rate: 'call us' },
      ],
    })

    const { rates } = await carrierAt(url).quoteRates(parcel, signal)

    assert.deepEqual(rates, [
      {
        id: null,
        carrier: 'USPS',
        service: 'First',
        priceCents: 549,
        deliveryDays: 3,
        deliveryDate: null,
      },
    ])
  })

  it('never see our key at the address of a label', async () => {
    const seen: (string | undefined)[] = []
    answer = (request, response) => {
      seen.push(request.headers.authorization)
      response.end('%PDF-1.7')
    }
    await carrierAt(url).downloadLabel(`${url}/label.pdf`)
    assert.deepEqual(seen, [undefined])

    says(200, '<html>')
    await assert.rejects(carrierAt(url).downloadLabel(`${url}/label.pdf`), {
      kind: 'unavailable',
      code: 'label_unavailable',
    })
  })

  it('are asked for with ounces, inches, dollars and a customs declaration', async () => {
    let sent: unknown
    answer = async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      sent = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      assert.equal(request.headers.authorization, `Basic ${btoa('EZTK-test:')}`)
      response.end(JSON.stringify({ rates: [] }))
    }

    await carrierAt(url).quoteRates({ ...parcel, shipTo: abroad }, signal)

    assert.deepEqual(sent, {
      shipment: {
        to_address: {
          name: 'Erika Mustermann',
          street1: 'Heidestraße 17',
          city: 'Köln',
          zip: '51147',
          country: 'DE',
        },
        from_address: {
          name: 'Warehouse',
          street1: '12 Elm Street',
          city: 'Columbus',
          state: 'OH',
          zip: '43215',
          country: 'US',
          phone: '6145550100',
        },
        parcel: { length: 15.7, width: 11.8, height: 7.9, weight: 61.7 },
        options: { label_format: 'PDF', label_size: '4x6' },
        customs_info: {
          contents_type: 'merchandise',
          restriction_type: 'none',
          non_delivery_option: 'return',
          customs_certify: true,
          customs_signer: 'Jane Roe',
          eel_pfc: 'NOEEI 30.37(a)',
          customs_items: [
            {
              description: 'Ceramic mug',
              quantity: 5,
              value: '94.95',
              currency: 'USD',
              weight: 61.7,
              hs_tariff_number: '6912.00',
              origin_country: 'PT',
              code: 'ABC123',
            },
          ],
        },
      },
    })
  })
})
