/** Waits until a process says that it is ready. */
import { get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 50
const requestTimeoutMs = 3_000

/**
 * Asks `/readyz` of a base URL until it answers 200.
 *
 * @throws Error with the last answer when `timeoutMs` have passed; the signal's reason on abort.
 */
export async function untilReady(
  url: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const answer = await ask(`${url}/readyz`, signal)
    if (answer === '200') return
    signal.throwIfAborted()
    if (Date.now() > deadline) {
      throw new Error(`not ready after ${timeoutMs / 1_000} s; last answer of /readyz: ${answer}`)
    }
    await delay(pollMs, undefined, { signal })
  }
}

/** The status, or why there is none. The connection is not kept: it would delay a stop. */
function ask(url: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const options = { agent: false, timeout: requestTimeoutMs, signal }
    const request = get(url, options, (response) => {
      response.resume()
      resolve(String(response.statusCode))
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}
