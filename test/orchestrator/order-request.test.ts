import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hashOf, parseOrderRequest } from '../../orchestrator/order-request.ts'
import { AppError } from '../../platform/errors.ts'

const shortOrder = { sku: 'ABC123', qty: 5, customer: 'John Doe' }
const longOrder = {
  lines: [{ sku: 'ABC123', quantity: 5 }],
  customer: { name: 'John Doe' },
}
const address = {
  name: 'John Doe',
  street1: '1 Main Street',
  city: 'Springfield',
  region: 'IL',
  postalCode: '62701',
  country: 'US',
}

/** The pointers that a refusal names, in its order. */
function pointersOf(body: unknown): string[] {
  try {
    parseOrderRequest(body)
  } catch (error) {
    assert.ok(error instanceof AppError)
    assert.equal(error.kind, 'invalid')
    assert.equal(error.code, 'invalid_order')
    const { errors } = error.details as { errors: { pointer: string; message: string }[] }
    for (const { message } of errors) assert.ok(message.length > 0)
    return errors.map(({ pointer }) => pointer)
  }
  throw new assert.AssertionError({ message: 'the order was accepted' })
}

describe('an order that is accepted', () => {
  it('has one normal form, whether it came in the short or the long form', () => {
    assert.deepEqual(parseOrderRequest(shortOrder), longOrder)
    assert.deepEqual(parseOrderRequest({ ...longOrder, customer: 'John Doe' }), longOrder)
    assert.deepEqual(parseOrderRequest(longOrder), longOrder)
  })

  it('keeps everything that the long form can say', () => {
    const full = {
      lines: [{ sku: 'ABC123', quantity: 5 }],
      customer: { id: 'cus_1' },
      shipTo: address,
      note: 'Ring twice.\n\tThen wait.',
      shipBy: '2026-12-24',
    }

    assert.deepEqual(parseOrderRequest(full), full)
  })

  it('keeps the options that the short form can say too', () => {
    const request = parseOrderRequest({ ...shortOrder, shipTo: address, note: 'Hello' })

    assert.deepEqual(request, { ...longOrder, shipTo: address, note: 'Hello' })
  })

  it('has one line for each sku, in order of sku', () => {
    const lines = [
      { sku: 'mug', quantity: 2 },
      { sku: 'cup', quantity: 1 },
      { sku: 'mug', quantity: 998 },
    ]

    assert.deepEqual(parseOrderRequest({ ...longOrder, lines }).lines, [
      { sku: 'cup', quantity: 1 },
      { sku: 'mug', quantity: 1_000 },
    ])
  })

  it('loses spaces around a name and a note that says nothing', () => {
    const request = parseOrderRequest({ ...shortOrder, customer: '  John Doe ', note: ' \n ' })

    assert.deepEqual(request, longOrder)
  })

  it('may have 100 lines of 1,000 units', () => {
    const lines = Array.from({ length: 100 }, (_, i) => ({ sku: `sku-${i}`, quantity: 1_000 }))

    assert.equal(parseOrderRequest({ ...longOrder, lines }).lines.length, 100)
  })

  it('may name a customer in any script', () => {
    for (const name of ['李小龍', 'Zoë Müller', 'أحمد', '👩‍🚀 Ada']) {
      assert.deepEqual(parseOrderRequest({ ...shortOrder, customer: name }).customer, { name })
    }
  })
})

describe('an order that is refused', () => {
  const refused: [what: string, body: unknown, pointers: string[]][] = [
    ['nothing at all', undefined, ['']],
    ['null', null, ['']],
    ['a text', 'ABC123', ['']],
    ['a number', 5, ['']],
    ['a list', [shortOrder], ['']],
    ['an empty object', {}, ['/sku', '/qty', '/customer']],
    ['a sku that is a number', { ...shortOrder, sku: 123 }, ['/sku']],
    ['a sku that is empty', { ...shortOrder, sku: '' }, ['/sku']],
    ['a sku of 65 characters', { ...shortOrder, sku: 'a'.repeat(65) }, ['/sku']],
    ['a sku with a path in it', { ...shortOrder, sku: '../stock' }, ['/sku']],
    ['a quantity of 0', { ...shortOrder, qty: 0 }, ['/qty']],
    ['a quantity of -1', { ...shortOrder, qty: -1 }, ['/qty']],
    ['a quantity of 1.5', { ...shortOrder, qty: 1.5 }, ['/qty']],
    ['a quantity of a billion', { ...shortOrder, qty: 1e9 }, ['/qty']],
    ['a quantity of 1e400', { ...shortOrder, qty: Number.POSITIVE_INFINITY }, ['/qty']],
    ['a quantity that is not a number', { ...shortOrder, qty: Number.NaN }, ['/qty']],
    ['a quantity that is text', { ...shortOrder, qty: '5' }, ['/qty']],
    ['a quantity that is missing', { sku: 'ABC123', customer: 'John Doe' }, ['/qty']],
    ['a customer that is a number', { ...shortOrder, customer: 5 }, ['/customer']],
    ['a customer that is null', { ...shortOrder, customer: null }, ['/customer']],
    ['a customer without a name', { ...shortOrder, customer: ' ' }, ['/customer/name']],
    ['a name of 101 characters', { ...shortOrder, customer: 'a'.repeat(101) }, ['/customer/name']],
    [
      'an e-mail that is none',
      { ...shortOrder, customer: { name: 'John', email: 'john' } },
      ['/customer/email'],
    ],
    ['no line', { ...longOrder, lines: [] }, ['/lines']],
    ['lines that are an object', { ...longOrder, lines: { 0: longOrder.lines[0] } }, ['/lines']],
    ['a line that is null', { ...longOrder, lines: [null] }, ['/lines/0']],
    [
      'a line of no quantity',
      { ...longOrder, lines: [longOrder.lines[0], { sku: 'mug', quantity: 0 }] },
      ['/lines/1/quantity'],
    ],
    [
      '101 lines',
      {
        ...longOrder,
        lines: Array.from({ length: 101 }, (_, i) => ({ sku: `sku-${i}`, quantity: 1 })),
      },
      ['/lines'],
    ],
    [
      'lines of one sku that add up to more than 1,000',
      {
        ...longOrder,
        lines: [
          { sku: 'mug', quantity: 1_000 },
          { sku: 'mug', quantity: 1 },
        ],
      },
      ['/lines'],
    ],
    ['an unknown field', { ...shortOrder, discount: 100 }, ['/discount']],
    [
      'an unknown field in a line',
      { ...longOrder, lines: [{ sku: 'mug', quantity: 1, priceCents: 1 }] },
      ['/lines/0/priceCents'],
    ],
    [
      'an unknown field in an address',
      { ...shortOrder, shipTo: { ...address, planet: 'Mars' } },
      ['/shipTo/planet'],
    ],
    [
      'an unknown field of a customer',
      { ...shortOrder, customer: { name: 'John', admin: true } },
      ['/customer/admin'],
    ],
    ['both forms at once', { ...shortOrder, ...longOrder }, ['/sku', '/qty']],
    [
      'a country that is no code',
      { ...shortOrder, shipTo: { ...address, country: 'usa' } },
      ['/shipTo/country'],
    ],
    [
      'an address without a street',
      { ...shortOrder, shipTo: { ...address, street1: '' } },
      ['/shipTo/street1'],
    ],
    ['a note of 2,001 characters', { ...shortOrder, note: 'a'.repeat(2_001) }, ['/note']],
    ['a note that is a list', { ...shortOrder, note: ['hello'] }, ['/note']],
    ['a day that is none', { ...shortOrder, shipBy: '2026-02-30' }, ['/shipBy']],
    ['a day with a time', { ...shortOrder, shipBy: '2026-02-03T00:00:00Z' }, ['/shipBy']],
  ]
  for (const [what, body, pointers] of refused) {
    it(`is refused for ${what}`, () => assert.deepEqual(pointersOf(body), pointers))
  }

  const printed = (code: number) => `U+${code.toString(16).padStart(4, '0').toUpperCase()}`

  for (const code of [0x00, 0x01, 0x08, 0x0b, 0x0d, 0x1b, 0x1f, 0x7f, 0x85, 0x9f]) {
    it(`is refused for ${printed(code)} in any text`, () => {
      const bad = `a${String.fromCharCode(code)}b`

      assert.deepEqual(pointersOf({ ...shortOrder, sku: bad }), ['/sku'])
      assert.deepEqual(pointersOf({ ...shortOrder, customer: bad }), ['/customer/name'])
      assert.deepEqual(pointersOf({ ...shortOrder, note: bad }), ['/note'])
      assert.deepEqual(pointersOf({ ...shortOrder, shipTo: { ...address, city: bad } }), [
        '/shipTo/city',
      ])
    })
  }

  for (const code of [0x09, 0x0a, 0x2028, 0x2029]) {
    it(`is refused for ${printed(code)} in a name, but may have it in a note`, () => {
      const text = `a${String.fromCharCode(code)}b`

      assert.deepEqual(pointersOf({ ...shortOrder, customer: text }), ['/customer/name'])
      assert.equal(parseOrderRequest({ ...shortOrder, note: text }).note, text)
    })
  }

  for (const [what, lone] of [
    ['high', '\ud800'],
    ['low', '\udfff'],
  ]) {
    it(`is refused for a lone ${what} surrogate in any text`, () => {
      const bad = `a${lone}b`

      assert.deepEqual(pointersOf({ ...shortOrder, sku: bad }), ['/sku'])
      assert.deepEqual(pointersOf({ ...shortOrder, customer: bad }), ['/customer/name'])
      assert.deepEqual(pointersOf({ ...shortOrder, note: bad }), ['/note'])
      assert.deepEqual(pointersOf({ ...shortOrder, shipTo: { ...address, street1: bad } }), [
        '/shipTo/street1',
      ])
    })
  }

  for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
    it(`is refused for a field named ${key}, and no prototype changes`, () => {
      const body: unknown = JSON.parse(
        `{"sku":"ABC123","qty":5,"customer":"John Doe","${key}":{"polluted":true}}`,
      )

      assert.deepEqual(pointersOf(body), [`/${key}`])
      assert.equal(({} as { polluted?: boolean }).polluted, undefined)
    })
  }

  it('is refused for 50,000 nested brackets, wherever they are', () => {
    const nested: unknown = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000))

    assert.deepEqual(pointersOf(nested), [''])
    assert.deepEqual(pointersOf({ ...longOrder, lines: nested }), ['/lines/0'])
    assert.deepEqual(pointersOf({ ...shortOrder, customer: nested }), ['/customer'])
    assert.deepEqual(pointersOf({ ...shortOrder, note: nested }), ['/note'])
  })

  it('names ten fields at most, each with a pointer of bounded length', () => {
    const unknown = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, i) => [`${i}${'x'.repeat(5_000)}`, i]),
    )

    const pointers = pointersOf({ ...shortOrder, ...unknown })

    assert.equal(pointers.length, 10)
    for (const pointer of pointers) assert.ok(pointer.length <= 65)
  })

  it('escapes field names as RFC 6901 says', () => {
    assert.deepEqual(pointersOf({ ...shortOrder, 'a/b~c': 1 }), ['/a~1b~0c'])
  })
})

describe('the hash of an order', () => {
  const hash = (body: unknown) => hashOf(parseOrderRequest(body))

  it('does not depend on the order of keys, of lines, or on the form', () => {
    const reversed = {
      customer: { name: 'John Doe' },
      lines: [{ quantity: 5, sku: 'ABC123' }],
    }

    assert.equal(hash(longOrder), hash(shortOrder))
    assert.equal(hash(reversed), hash(longOrder))
    assert.equal(
      hash({ ...longOrder, shipTo: address }),
      hash({ ...longOrder, shipTo: Object.fromEntries(Object.entries(address).reverse()) }),
    )
  })

  it('differs for every difference that matters', () => {
    const orders = [
      shortOrder,
      { ...shortOrder, qty: 6 },
      { ...shortOrder, sku: 'ABC124' },
      { ...shortOrder, customer: 'Jane Doe' },
      { ...shortOrder, customer: { name: 'John Doe', email: 'john@example.com' } },
      { ...shortOrder, customer: { id: 'JohnDoe' } },
      { ...shortOrder, note: 'hello' },
      { ...shortOrder, shipBy: '2026-12-24' },
      { ...shortOrder, shipTo: address },
      { ...shortOrder, shipTo: { ...address, street2: 'Flat 2' } },
    ]

    assert.equal(new Set(orders.map(hash)).size, orders.length)
  })
})
