import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  AppError,
  denied,
  type ErrorKind,
  fromWire,
  internal,
  invalid,
  isNamed,
  missing,
  named,
  policy,
  rejected,
  toWire,
  unavailable,
} from '../../platform/errors.ts'

const makers = { invalid, denied, missing, rejected, unavailable, internal }
const kinds = Object.keys(makers) as ErrorKind[]

describe('errors', () => {
  it('have six kinds, each with a status, a retry rule and a log level', () => {
    assert.deepEqual(kinds.toSorted(), Object.keys(policy).toSorted())
    assert.deepEqual(
      kinds.map((kind) => policy[kind].status),
      [400, 403, 404, 409, 503, 500],
    )
    assert.deepEqual(
      kinds.filter((kind) => policy[kind].retry),
      ['unavailable', 'internal'],
    )
  })

  for (const kind of kinds) {
    it(`of kind ${kind} carry code, message, next, details and cause`, () => {
      const cause = new Error('below')
      const error = makers[kind]('some_code', 'What happened', {
        next: 'What to do',
        details: { sku: 'mug' },
        cause,
      })

      assert.ok(error instanceof AppError)
      assert.equal(error.kind, kind)
      assert.equal(error.code, 'some_code')
      assert.equal(error.message, 'What happened')
      assert.equal(error.next, 'What to do')
      assert.deepEqual(error.details, { sku: 'mug' })
      assert.equal(error.cause, cause)
    })
  }

  it('travel as plain objects without cause and stack, and come back equal', () => {
    const error = rejected('out_of_stock', 'Not enough mugs', {
      next: 'Wait',
      details: { sku: 'mug' },
      cause: new Error('secret'),
    })
    const travelled = JSON.parse(JSON.stringify(toWire(error))) as ReturnType<typeof toWire>

    assert.deepEqual(travelled, {
      kind: 'rejected',
      code: 'out_of_stock',
      message: 'Not enough mugs',
      next: 'Wait',
      details: { sku: 'mug' },
    })
    assert.deepEqual(toWire(fromWire(travelled)), travelled)
  })

  it('are recognised by kind and code once they were recorded, not by class', () => {
    const recorded: unknown = { kind: 'missing', code: 'no_such_order', message: 'No order' }

    assert.ok(isNamed(recorded))
    assert.equal(named(recorded).kind, 'missing')
    assert.equal(named(recorded).code, 'no_such_order')
  })

  it('that nobody named become internal, with the original as cause and hidden from callers', () => {
    for (const thrown of [new Error('password is 1234'), 'a string', null, undefined, 7]) {
      const error = named(thrown)

      assert.equal(error.kind, 'internal')
      assert.equal(error.cause, thrown)
      assert.doesNotMatch(JSON.stringify(toWire(thrown)), /1234|a string/)
    }
  })

  it('of kind internal keep their code and lose their text and details on the wire', () => {
    const wire = toWire(internal('bad_cost', 'Not a cost: 0.5', { details: { cost: 0.5 } }))

    assert.equal(wire.code, 'bad_cost')
    assert.equal(wire.details, undefined)
    assert.doesNotMatch(wire.message, /cost/)
    assert.ok(wire.next)
  })

  it('are not taken for named ones when only half of the fields fit', () => {
    const others = [
      { kind: 'odd', code: 'x' },
      { kind: 'invalid' },
      { kind: 'invalid', code: 7 },
      { code: 'ECONNREFUSED' },
      'invalid',
      null,
    ]

    assert.deepEqual(
      others.map((other) => isNamed(other)),
      others.map(() => false),
    )
  })
})
