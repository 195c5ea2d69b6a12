import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkChoice,
  chooseByRules,
  meetsShipBy,
  offerOf,
  rateToBuy,
} from '../../../services/fulfillment/offer-rules.ts'
import { offer } from './parcels.ts'

const friday = new Date('2026-11-20T15:00:00Z')
const shipBy = '2026-11-25'

describe('meeting a date', () => {
  const on = (deliveryDate: string) =>
    meetsShipBy({ deliveryDate, deliveryDays: 9 }, shipBy, friday)
  const after = (deliveryDays: number) =>
    meetsShipBy({ deliveryDate: null, deliveryDays }, shipBy, friday)

  it('is decided by the date that the carrier gives, the day itself included', () => {
    assert.equal(on('2026-11-25T20:00:00Z'), true)
    assert.equal(on('2026-11-26T00:00:00Z'), false)
  })

  it('is decided by business days when the carrier gives no date', () => {
    assert.equal(after(3), true)
    assert.equal(after(4), false)
    assert.equal(after(0), true)
  })

  it('is unknown without a promise and without a date to meet', () => {
    assert.equal(meetsShipBy({ deliveryDate: null, deliveryDays: null }, shipBy, friday), null)
    assert.equal(meetsShipBy({ deliveryDate: null, deliveryDays: 2 }, null, friday), null)
  })

  it('is part of every offer', () => {
    const rate = {
      id: 'rate_1',
      carrier: 'StandInPost',
      service: 'Ground',
      priceCents: 500,
      deliveryDays: 5,
      deliveryDate: null,
    }
    assert.deepEqual(
      offerOf(rate, shipBy, friday),
      offer('Ground', 500, { deliveryDays: 5, meetsShipBy: false }),
    )
  })
})

const ground = offer('Ground', 500, { deliveryDays: 5, meetsShipBy: false })
const priority = offer('Priority', 900, { deliveryDays: 2, meetsShipBy: true })
const express = offer('Express', 3_000, { deliveryDays: 1, meetsShipBy: true })
const freight = offer('Freight', 400)
const all = [express, ground, priority, freight]

describe('the choice of the rules', () => {
  const choose = (offers: typeof all, by: string | null, level: 'cheapest' | 'fastest') =>
    chooseByRules(offers, by, level).offer.service

  it('is the cheapest offer', () => {
    assert.equal(choose(all, null, 'cheapest'), 'Freight')
  })

  it('is the cheapest that meets the date', () => {
    assert.equal(choose(all, shipBy, 'cheapest'), 'Priority')
  })

  it('is the fastest when none is known to meet the date, and says so', () => {
    const late = [freight, ground, { ...priority, meetsShipBy: false }]

    assert.equal(choose(late, shipBy, 'cheapest'), 'Priority')
    assert.match(chooseByRules(late, shipBy, 'cheapest').why.join(), /no service is known to meet/)
  })

  it('is the fastest when the level says so, the cheaper of equals', () => {
    const cheaper = offer('Rocket', 2_900, { deliveryDays: 1 })

    assert.equal(choose(all, null, 'fastest'), 'Express')
    assert.equal(choose([...all, cheaper], null, 'fastest'), 'Rocket')
  })
})

describe("an agent's choice", () => {
  const check = (service: string | null, by: string | null = null, carrier = 'StandInPost') => {
    const choice = checkChoice({ carrier, service }, all, by, 'cheapest')
    return `${choice.offer.service}${choice.why.length > 0 ? ' by rules' : ''}`
  }

  it('stands when it is offered, however the words are cased', () => {
    assert.equal(check('Express'), 'Express')
    assert.equal(check('ground', null, 'standinpost'), 'Ground')
  })

  it('gives way to the rules when it is not offered', () => {
    assert.equal(check('Teleport'), 'Freight by rules')
    assert.equal(check('Ground', null, 'OtherPost'), 'Freight by rules')
    assert.equal(check(null), 'Freight by rules')
  })

  it('gives way to the rules when it misses a date that another offer meets', () => {
    assert.equal(check('Ground', shipBy), 'Priority by rules')
    assert.equal(check('Freight', shipBy), 'Priority by rules')
    assert.equal(check('Express', shipBy), 'Express')
  })
})

describe('the rate to buy', () => {
  const rate = (service: string, priceCents: number, id: string | null = `rate_${priceCents}`) => ({
    id,
    carrier: 'StandInPost',
    service,
    priceCents,
    deliveryDays: null,
    deliveryDate: null,
  })
  const stored = { carrier: 'StandInPost', service: 'Ground', priceCents: 500 }

  it('is exactly the stored service, at the stored price or less', () => {
    assert.equal(rateToBuy([rate('Express', 100), rate('Ground', 500)], stored), 'rate_500')
    assert.equal(rateToBuy([rate('Ground', 520), rate('Ground', 480)], stored), 'rate_480')
  })

  it('is none when the price rose', () => {
    assert.throws(() => rateToBuy([rate('Ground', 501)], stored), {
      kind: 'rejected',
      code: 'rate_changed',
      details: { proposedCents: 500, offeredCents: 501 },
    })
  })

  it('is none when the service is gone', () => {
    const gone = { kind: 'rejected', code: 'no_service' }
    assert.throws(() => rateToBuy([rate('Express', 100)], stored), gone)
    assert.throws(() => rateToBuy([rate('Ground', 100, null)], stored), gone)
    assert.throws(() => rateToBuy([], stored), gone)
  })
})
