import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLineFormatter, wantsColours } from '../../launcher/log-lines.ts'

const names = ['orchestrator', 'order']
const plain = createLineFormatter({ colours: false, names })
const time = new Date(2026, 0, 2, 3, 4, 5, 6)
const line = (fields: object): string => JSON.stringify({ time: time.toISOString(), ...fields })

describe('a log line', () => {
  it('becomes time, process, level, message and fields', () => {
    const text = line({
      level: 'info',
      service: 'order',
      pid: 1,
      hostname: 'h',
      msg: 'order opened',
      orderId: 'o-1',
      lines: 2,
      note: 'two words',
      customer: { id: 'c1' },
    })

    assert.equal(
      plain('order', text),
      '03:04:05.006 order        info  order opened orderId=o-1 lines=2 note="two words" customer={"id":"c1"}',
    )
  })

  it('may carry its level and time as numbers', () => {
    const text = JSON.stringify({ level: 50, time: time.getTime(), msg: 'down' })

    assert.equal(plain('orchestrator', text), '03:04:05.006 orchestrator error down')
  })

  it('shows the stack of an error below', () => {
    const err = { type: 'Error', message: 'boom', stack: 'Error: boom\n    at here' }

    const [first, ...rest] = plain('order', line({ level: 'error', msg: 'failed', err })).split(
      '\n',
    )

    assert.equal(first, '03:04:05.006 order        error failed')
    assert.deepEqual(
      rest.map((l) => l.trim()),
      ['Error: boom', 'at here'],
    )
  })

  it('that is not JSON of a logger stays as it is, behind the name', () => {
    for (const text of [
      'Error: boom',
      '    at here (file.ts:1:2)',
      '{ half',
      '{"no":"level"}',
      '[]',
    ]) {
      assert.equal(plain('order', text), `order        ${text}`)
    }
  })

  it('cannot control the terminal', () => {
    const evil = '\u001b[2Jgone\u009b31m\r\nnext'

    for (const text of [line({ level: 'info', msg: evil, note: evil, [evil]: 1 }), evil]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(plain('order', text), /[\u0000-\u001f\u007f-\u009f]/)
    }
  })

  it('cuts a long field', () => {
    const text = plain('order', line({ level: 'info', msg: 'm', long: 'x'.repeat(5_000) }))

    assert.ok(text.length < 300)
    assert.match(text, /…$/)
  })

  it('has colours only on a terminal and without NO_COLOR', () => {
    assert.equal(wantsColours(true, undefined), true)
    assert.equal(wantsColours(true, ''), true)
    assert.equal(wantsColours(true, '1'), false)
    assert.equal(wantsColours(false, undefined), false)

    const coloured = createLineFormatter({ colours: true, names })
    const text = line({ level: 'warn', msg: 'slow', ms: 5 })
    const escapeCharacter = String.fromCharCode(27)
    assert.ok(coloured('order', text).includes(escapeCharacter))
    assert.ok(!plain('order', text).includes(escapeCharacter))
    assert.notEqual(coloured('order', 'x').slice(0, 5), coloured('orchestrator', 'x').slice(0, 5))
  })
})
