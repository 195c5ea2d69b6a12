/** How many runs this process has in flight, and how fast they end. */

const endsRemembered = 200
const paceWindowMs = 10_000

export class Flights {
  #running = 0
  #entering = 0
  #queueing = 0
  readonly #ends: number[] = []

  get running(): number {
    return this.#running
  }

  /** Orders that are being stored and started. */
  get entering(): number {
    return this.#entering
  }

  /** Orders on their way into the queue: the database does not count them yet. */
  get queueing(): number {
    return this.#queueing
  }

  /** Runs that ended here a second, over the last ten. */
  perSecond(now: number = Date.now()): number {
    const recent = this.#ends.filter((at) => at > now - paceWindowMs)
    const [first] = recent
    if (first === undefined) return 0
    return recent.length / Math.max(1, (now - first) / 1_000)
  }

  /** Counts a run until it ends, or until it says that the rest of it need not be waited for. */
  async during<T>(run: (leave: () => void) => Promise<T>): Promise<T> {
    this.#running += 1
    let isIn = true
    const leave = () => {
      if (!isIn) return
      isIn = false
      this.#running -= 1
      this.#ends.push(Date.now())
      if (this.#ends.length > endsRemembered) this.#ends.shift()
    }
    try {
      return await run(leave)
    } finally {
      leave()
    }
  }

  /** Counts an order while it is being stored and started. */
  async whileEntering<T>(enter: () => Promise<T>): Promise<T> {
    this.#entering += 1
    try {
      return await enter()
    } finally {
      this.#entering -= 1
    }
  }

  /** Counts an order while it is being put into the queue. */
  async whileQueueing<T>(enqueue: () => Promise<T>): Promise<T> {
    this.#queueing += 1
    try {
      return await enqueue()
    } finally {
      this.#queueing -= 1
    }
  }
}
