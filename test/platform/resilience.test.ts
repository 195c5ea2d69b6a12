import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AppError,
  denied,
  invalid,
  missing,
  rejected,
  unavailable,
} from '../../platform/errors.ts'
import {
  type BreakerState,
  backoffMs,
  CircuitBreaker,
  deadline,
  defaultRetry,
  withRetry,
} from '../../platform/resilience.ts'

const never = new AbortController().signal
const quick = { attemptsMax: 3, backoffMinMs: 2, backoffMaxMs: 4 }
const down = unavailable('down', 'Away')

/** Runs the outcomes one after the other and says how many attempts it took. */
async function attempts(outcomes: readonly unknown[], retry = quick, signal = never) {
  let count = 0
  const result = await withRetry(retry, signal, async () => {
    const outcome = outcomes[count++]
    if (outcome instanceof Error) throw outcome
    return outcome
  }).catch((error: AppError) => error)
  return { count, result }
}

describe('retries', () => {
  it('go on until it works', async () => {
    assert.deepEqual(await attempts([down, down, 'done']), { count: 3, result: 'done' })
  })

  it('end with the last error when the attempts are used up', async () => {
    const last = unavailable('still_down', 'Away')

    assert.deepEqual(await attempts([down, down, last, 'too late']), { count: 3, result: last })
  })

  for (const refusal of [
    invalid('bad', 'Bad'),
    denied('denied', 'No'),
    missing('gone', 'Gone'),
    rejected('out_of_stock', 'None left'),
  ]) {
    it(`stop at once on a refusal of kind ${refusal.kind}`, async () => {
      assert.deepEqual(await attempts([refusal, 'unused']), { count: 1, result: refusal })
    })
  }

  it('try again on an error that nobody named, and name it in the end', async () => {
    const bug = new TypeError('x is undefined')
    const { count, result } = await attempts([bug, bug, bug])

    assert.equal(count, 3)
    assert.equal((result as AppError).kind, 'internal')
    assert.equal((result as AppError).cause, bug)
  })

  it('tell about every failure with its attempt', async () => {
    const told: [string, number][] = []
    await withRetry(
      quick,
      never,
      async (attempt) => {
        if (attempt < 3) throw down
      },
      (error, attempt) => told.push([error.code, attempt]),
    )

    assert.deepEqual(told, [
      ['down', 1],
      ['down', 2],
    ])
  })

  it('end their wait when the caller gives up, with the error of the attempt', async () => {
    const slow = { attemptsMax: 3, backoffMinMs: 60_000, backoffMaxMs: 60_000 }
    const caller = new AbortController()
    const startedAt = performance.now()
    const running = attempts([down, 'unused'], slow, caller.signal)
    setImmediate(() => caller.abort())

    assert.deepEqual(await running, { count: 1, result: down })
    assert.ok(performance.now() - startedAt < 5_000)
  })

  it('do not start again once the caller gave up', async () => {
    const { count } = await attempts([down, 'unused'], quick, AbortSignal.abort())

    assert.equal(count, 1)
  })

  it('wait as long as the other side asks, up to the longest backoff', async () => {
    const asks = unavailable('busy', 'Busy', { details: { retryAfterMs: 60_000 } })
    const startedAt = performance.now()
    await attempts([asks, 'done'], { attemptsMax: 2, backoffMinMs: 1, backoffMaxMs: 60 })

    const waitedMs = performance.now() - startedAt
    assert.ok(waitedMs >= 55 && waitedMs < 5_000, `waited ${waitedMs} ms`)
  })
})

describe('backoff', () => {
  it('doubles its ceiling with each attempt, up to the maximum', () => {
    const highest = () => 1
    const waits = [1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(defaultRetry, attempt, highest))

    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
  })

  it('never falls below half the minimum', () => {
    const lowest = () => 0
    const waits = [1, 2, 3, 9].map((attempt) => backoffMs(defaultRetry, attempt, lowest))

    assert.deepEqual(waits, [500, 500, 500, 500])
  })

  it('spreads evenly in between', () => {
    assert.equal(
      backoffMs(defaultRetry, 3, () => 0.5),
      2_000,
    )
  })
})

describe('a deadline', () => {
  it('aborts with its parent, and by itself', async () => {
    const parent = new AbortController()
    const child = deadline(60_000, parent.signal)
    parent.abort()
    assert.ok(child.aborted)

    const alone = deadline(5)
    await new Promise((resolve) => alone.addEventListener('abort', resolve))
    assert.equal((alone.reason as Error).name, 'TimeoutError')
  })
})

describe('a circuit breaker', () => {
  function breakerWorld() {
    let now = 0
    const changes: BreakerState[] = []
    const breaker = new CircuitBreaker('shop', {
      failuresMax: 2,
      openMs: 1_000,
      now: () => now,
      onChange: (state) => changes.push(state),
    })
    const call = (outcome: unknown) =>
      breaker
        .run(async () => {
          if (outcome instanceof Error) throw outcome
          return outcome
        })
        .catch((error: AppError) => error.code)
    return { breaker, changes, call, pass: (ms: number) => (now += ms) }
  }

  it('opens after that many failures in a row and then does not call', async () => {
    const { breaker, call } = breakerWorld()
    await call(down)
    await call('fine')
    await call(down)
    assert.equal(breaker.state, 'closed')
    await call(down)

    assert.equal(breaker.state, 'open')
    assert.equal(await call('never called'), 'circuit_open')
  })

  it('lets one call try after its rest, and closes when it works', async () => {
    const { breaker, changes, call, pass } = breakerWorld()
    await call(down)
    await call(down)
    pass(999)
    assert.equal(await call('too early'), 'circuit_open')
    pass(1)

    assert.equal(await call('back'), 'back')
    assert.equal(breaker.state, 'closed')
    assert.deepEqual(changes, ['open', 'half_open', 'closed'])
  })

  it('rests again when that one call fails', async () => {
    const { breaker, call, pass } = breakerWorld()
    await call(down)
    await call(down)
    pass(1_000)
    await call(down)

    assert.equal(breaker.state, 'open')
    pass(999)
    assert.equal(await call('too early'), 'circuit_open')
    pass(1)
    assert.equal(await call('back'), 'back')
  })

  it('learns nothing from a trial that nobody waited for: the next call is the trial', async () => {
    let now = 0
    const left = invalid('call_abandoned', 'Nobody waits')
    const breaker = new CircuitBreaker('shop', {
      failuresMax: 1,
      openMs: 1_000,
      verdictOf: ({ code, kind }) =>
        code === 'call_abandoned' ? 'nothing' : kind === 'unavailable' ? 'failure' : 'success',
      now: () => now,
    })
    const call = (outcome: unknown) =>
      breaker.run(async () => {
        if (outcome instanceof Error) throw outcome
        return outcome
      })
    await assert.rejects(call(down))
    now += 1_000

    await assert.rejects(call(left), { code: 'call_abandoned' })
    assert.equal(breaker.state, 'open')
    assert.equal(await call('back'), 'back')
    assert.equal(breaker.state, 'closed')
  })

  it('refuses others while one call tries', async () => {
    const { breaker, call, pass } = breakerWorld()
    await call(down)
    await call(down)
    pass(1_000)
    const gate = Promise.withResolvers<string>()
    const trying = breaker.run(() => gate.promise)

    assert.equal(breaker.state, 'half_open')
    assert.equal(await call('second'), 'circuit_open')
    gate.resolve('back')
    assert.equal(await trying, 'back')
    assert.equal(await call('third'), 'third')
  })

  it('counts a refusal as a sign of life', async () => {
    const { breaker, call } = breakerWorld()
    for (let i = 0; i < 5; i++) await call(rejected('out_of_stock', 'None left'))
    await call(down)

    assert.equal(breaker.state, 'closed')
  })
})
