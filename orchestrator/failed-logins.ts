/**
 * Counts refused logins by client id and address, and says when there were too many.
 *
 * By both together: by id alone a stranger could lock a client out; by address alone all clients
 * behind one proxy would share a fate. Secrets cannot be guessed anyway; this bounds the work.
 */
const windowMs = 60_000
const failuresMax = 10
const pairsMax = 10_000

interface Failures {
  count: number
  readonly untilMs: number
}

export class FailedLogins {
  readonly #nowMs: () => number
  /** Oldest first; the oldest goes when it is full. */
  readonly #pairs = new Map<string, Failures>()

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Seconds until this pair may try again; 0 for now. */
  waitSeconds(clientId: string, address: string): number {
    const found = this.#find(pairOf(clientId, address))
    if (found === undefined || found.count < failuresMax) return 0
    return Math.ceil((found.untilMs - this.#nowMs()) / 1_000)
  }

  add(clientId: string, address: string): void {
    const pair = pairOf(clientId, address)
    const found = this.#find(pair)
    if (found !== undefined) {
      found.count += 1
      return
    }
    if (this.#pairs.size >= pairsMax) {
      for (const oldest of this.#pairs.keys()) {
        this.#pairs.delete(oldest)
        break
      }
    }
    this.#pairs.set(pair, { count: 1, untilMs: this.#nowMs() + windowMs })
  }

  #find(pair: string): Failures | undefined {
    const found = this.#pairs.get(pair)
    if (found !== undefined && found.untilMs > this.#nowMs()) return found
    this.#pairs.delete(pair)
    return undefined
  }
}

const idCharactersMax = 64
const pairOf = (clientId: string, address: string) =>
  `${address} ${clientId.slice(0, idCharactersMax)}`
