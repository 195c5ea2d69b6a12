/** How many runs this process has in flight. */
export class Flights {
  #running = 0

  get running(): number {
    return this.#running
  }

  /** Counts a run until it ends, or until it says that the rest of it need not be waited for. */
  async during<T>(run: (leave: () => void) => Promise<T>): Promise<T> {
    this.#running += 1
    let isIn = true
    const leave = () => {
      if (isIn) this.#running -= 1
      isIn = false
    }
    try {
      return await run(leave)
    } finally {
      leave()
    }
  }
}
