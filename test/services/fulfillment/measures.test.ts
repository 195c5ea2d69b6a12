import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  centsOf,
  dollarsOf,
  inchesOf,
  ouncesBelow,
  ouncesOf,
} from '../../../services/fulfillment/measures.ts'

describe('measures', () => {
  it('weighs in ounces to one decimal, never nothing', () => {
    assert.equal(ouncesOf(28), 1)
    assert.equal(ouncesOf(1_000), 35.3)
    assert.equal(ouncesOf(1_750), 61.7)
    assert.equal(ouncesOf(30_000), 1_058.2)
    assert.equal(ouncesOf(0), 0.1)
    assert.equal(ouncesOf(100_000_000), 3_527_396.2)
  })

  it('never lets customs items add up to more than their parcel', () => {
    for (let grams = 10; grams < 2_000; grams += 7) {
      const items = Math.round((ouncesBelow(grams) + ouncesBelow(grams + 3)) * 10)
      assert.ok(items <= Math.round(ouncesOf(2 * grams + 3) * 10), `${grams} g`)
    }
    assert.equal(ouncesBelow(1), 0.1)
  })

  it('measures in inches to one decimal', () => {
    assert.equal(inchesOf(40), 15.7)
    assert.equal(inchesOf(30), 11.8)
    assert.equal(inchesOf(20), 7.9)
    assert.equal(inchesOf(254), 100)
  })

  it('reads decimal prices to the cent, without floating point', () => {
    assert.equal(centsOf('7.15'), 715)
    assert.equal(centsOf('5.49000'), 549)
    assert.equal(centsOf('10'), 1_000)
    assert.equal(centsOf('10.5'), 1_050)
    assert.equal(centsOf('0.07'), 7)
    // 1.15 * 100 is 114.99999999999999 in floating point.
    assert.equal(centsOf('1.15'), 115)
    assert.equal(centsOf('999999999.99'), 99_999_999_999)
  })

  it('counts a begun cent as a whole one', () => {
    assert.equal(centsOf('7.151'), 716)
    assert.equal(centsOf('0.00001'), 1)
  })

  it('reads nothing else as a price', () => {
    for (const text of ['', 'free', '-1.00', '1,50', '1e3', ' 1.00', '1.', '.5', 'NaN']) {
      assert.equal(centsOf(text), undefined, text)
    }
  })

  it('writes cents as dollars', () => {
    assert.equal(dollarsOf(0), '0.00')
    assert.equal(dollarsOf(7), '0.07')
    assert.equal(dollarsOf(1_050), '10.50')
    assert.equal(dollarsOf(500_000), '5000.00')
  })
})
