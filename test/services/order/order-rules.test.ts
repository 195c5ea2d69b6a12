import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hashContent } from '../../../services/order/open-order.ts'
import {
  assessOrder,
  type Customer,
  type Facts,
  formatCents,
  mergeLines,
  type OrderRequest,
  type Product,
  sumCents,
} from '../../../services/order/order-rules.ts'

const limitCents = 500_000
const home = {
  name: 'Kim Example',
  street1: '1 Example Street',
  city: 'Springfield',
  region: 'IL',
  postalCode: '62701',
  country: 'US',
}
const kim: Customer = {
  id: 'kim',
  name: 'Kim Example',
  status: 'active',
  customerSince: '2020-01-01',
  address: home,
}
const product = (sku: string, more: Partial<Product> = {}): Product => ({
  sku,
  name: `Product ${sku}`,
  priceCents: 1_250,
  weightGrams: 350,
  discontinued: false,
  hsCode: '6912.00',
  originCountry: 'PT',
  ...more,
})
const facts = (more: Partial<Facts> = {}): Facts => ({
  customers: [kim],
  products: [product('MUG')],
  ...more,
})
const request = (more: Partial<OrderRequest> = {}): OrderRequest => ({
  orderId: '8f1b2c3d-0000-4000-8000-000000000001',
  round: 1,
  customer: { name: 'Kim Example' },
  lines: [{ sku: 'MUG', quantity: 5 }],
  ...more,
})
const codes = (wanted: OrderRequest, known: Facts) =>
  assessOrder(wanted, known, limitCents).findings.map(({ code, outcome }) => `${outcome} ${code}`)

describe('the rules of an order', () => {
  it('find nothing against an ordinary order, and price it', () => {
    const assessment = assessOrder(request(), facts(), limitCents)

    assert.deepEqual(assessment.findings, [])
    assert.equal(assessment.totalCents, 6_250)
    assert.deepEqual(assessment.shipTo, home)
    assert.deepEqual(assessment.lines, [
      {
        sku: 'MUG',
        name: 'Product MUG',
        quantity: 5,
        unitPriceCents: 1_250,
        lineTotalCents: 6_250,
        weightGrams: 350,
        hsCode: '6912.00',
        originCountry: 'PT',
      },
    ])
  })

  it('merge lines of one sku and keep the order in which skus appear', () => {
    const lines = [
      { sku: 'B', quantity: 1 },
      { sku: 'A', quantity: 2 },
      { sku: 'B', quantity: 3 },
    ]

    assert.deepEqual(mergeLines(lines), [
      { sku: 'B', quantity: 4 },
      { sku: 'A', quantity: 2 },
    ])
  })

  it('name every unknown and every discontinued sku, and price only what is known', () => {
    const lines = ['X1', 'MUG', 'OLD', 'X2'].map((sku) => ({ sku, quantity: 1 }))
    const known = facts({ products: [product('MUG'), product('OLD', { discontinued: true })] })
    const { findings, lines: priced } = assessOrder(request({ lines }), known, limitCents)

    assert.deepEqual(
      findings.map(({ code, sku }) => [code, sku]),
      [
        ['unknown_sku', 'X1'],
        ['discontinued_sku', 'OLD'],
        ['unknown_sku', 'X2'],
      ],
    )
    assert.deepEqual(
      priced.map((line) => line.sku),
      ['MUG', 'OLD'],
    )
  })

  const cases: readonly {
    readonly what: string
    readonly wanted?: Partial<OrderRequest>
    readonly known?: Partial<Facts>
    readonly findings: readonly string[]
  }[] = [
    {
      what: 'nobody has that name',
      known: { customers: [] },
      findings: ['rejected unknown_customer'],
    },
    {
      what: 'nobody has that name and the order names an address without a state',
      wanted: { shipTo: { ...home, region: undefined } as never },
      known: { customers: [] },
      findings: ['rejected unknown_customer', 'rejected no_address'],
    },
    {
      what: 'two customers share the name',
      known: { customers: [kim, { ...kim, id: 'kim-2' }] },
      findings: ['rejected ambiguous_customer'],
    },
    {
      what: 'the customer is blocked',
      known: { customers: [{ ...kim, status: 'blocked' }] },
      findings: ['rejected blocked_customer'],
    },
    {
      what: 'neither customer nor order has an address',
      known: { customers: [{ ...kim, address: null }] },
      findings: ['rejected no_address'],
    },
    {
      what: 'the customer has none, but the order names one',
      wanted: { shipTo: home },
      known: { customers: [{ ...kim, address: null }] },
      findings: [],
    },
    {
      what: 'an address abroad has no region',
      wanted: { shipTo: { ...withoutRegion(home), country: 'DE' } },
      findings: [],
    },
    {
      what: 'the address on file is in the US and has no state',
      known: { customers: [{ ...kim, address: withoutRegion(home) }] },
      findings: ['rejected no_address'],
    },
    {
      what: 'the total is exactly the limit',
      known: { products: [product('MUG', { priceCents: 100_000 })] },
      findings: [],
    },
    {
      what: 'the total is one cent above the limit',
      wanted: { lines: [{ sku: 'MUG', quantity: 1 }] },
      known: { products: [product('MUG', { priceCents: 500_001 })] },
      findings: ['held over_limit'],
    },
    {
      what: 'several rules object: what rejects comes before what holds',
      known: {
        customers: [{ ...kim, status: 'blocked', address: null }],
        products: [product('MUG', { priceCents: 900_000, discontinued: true })],
      },
      findings: [
        'rejected blocked_customer',
        'rejected discontinued_sku',
        'rejected no_address',
        'held over_limit',
      ],
    },
  ]
  for (const { what, wanted, known, findings } of cases) {
    it(`say ${findings.join(', ') || 'nothing'} when ${what}`, () => {
      assert.deepEqual(codes(request(wanted), facts(known)), findings)
    })
  }

  it('say what to do next in every finding, and nothing of any customer', () => {
    const strangers = [kim, { ...kim, id: 'kim-2', name: 'Kim Other' }]
    const lines = [{ sku: 'X', quantity: 1 }]
    const { findings, customer, shipTo } = assessOrder(
      request({ lines }),
      facts({ customers: strangers }),
      limitCents,
    )

    assert.ok(findings.every(({ message, next }) => message.length > 10 && next.length > 10))
    assert.doesNotMatch(JSON.stringify(findings), /kim|Springfield/i)
    assert.equal(customer, null)
    assert.equal(shipTo, null)
  })

  it('refuse to add up to an amount that is no exact integer', () => {
    const line = { lineTotalCents: Number.MAX_SAFE_INTEGER }

    assert.throws(() => sumCents([line, { lineTotalCents: 1 }]), {
      kind: 'internal',
      code: 'unsafe_total',
    })
  })

  it('print cents exactly', () => {
    assert.deepEqual([0, 5, 99, 100, 123_456].map(formatCents), [
      '0.00',
      '0.05',
      '0.99',
      '1.00',
      '1234.56',
    ])
  })
})

describe('the fingerprint of an order', () => {
  const hash = (more: Partial<OrderRequest> = {}) => hashContent(request(more))

  it('is the same for the same content, however its lines and fields are arranged', () => {
    const split = [
      { sku: 'B', quantity: 1 },
      { sku: 'A', quantity: 2 },
      { sku: 'B', quantity: 1 },
    ]
    const merged = [
      { sku: 'A', quantity: 2 },
      { sku: 'B', quantity: 2 },
    ]
    const turned = Object.fromEntries(Object.entries(home).reverse()) as typeof home

    assert.equal(hash({ lines: split }), hash({ lines: merged }))
    assert.equal(hash({ shipTo: home }), hash({ shipTo: turned }))
  })

  it('differs for any other content', () => {
    const others = [
      hash(),
      hash({ customer: { id: 'Kim Example' } }),
      hash({ customer: { name: 'Kim Example', email: 'kim@example.com' } }),
      hash({ lines: [{ sku: 'MUG', quantity: 6 }] }),
      hash({ lines: [{ sku: 'MUG2', quantity: 5 }] }),
      hash({ shipTo: home }),
      hash({ shipTo: { ...home, city: 'Shelbyville' } }),
      hash({ note: 'ring twice' }),
      hash({ shipBy: '2026-12-24' }),
    ]

    assert.equal(new Set(others).size, others.length)
  })
})

function withoutRegion({ region: _region, ...address }: typeof home): Customer['address'] & object {
  return address
}
