/**
 * Labels are drawn when somebody looks at them, not when postage is bought, and the last 100 are kept
 * (about 12 KB each). Two who ask for one label at once wait for the same drawing.
 */
const LABELS_MAX = 100

export class LabelShelf {
  readonly #labels = new Map<string, Promise<Buffer>>()

  /** The label under this key, drawn by `draw` when it is not here; a failed drawing is not kept. */
  get(key: string, draw: () => Promise<Buffer>): Promise<Buffer> {
    const kept = this.#labels.get(key)
    const label = kept ?? draw()
    // Deleting and setting moves the key to the end: the first key is the longest unused.
    this.#labels.delete(key)
    this.#labels.set(key, label)
    if (kept === undefined) {
      label.catch(() => this.#labels.delete(key))
      const [oldest] = this.#labels.keys()
      if (this.#labels.size > LABELS_MAX && oldest !== undefined) this.#labels.delete(oldest)
    }
    return label
  }

  get size(): number {
    return this.#labels.size
  }
}
