/**
 * An append-only file of JSON lines with group commit: while one write is under way, further lines
 * gather and leave together in the next. `append` resolves when its line has reached the operating
 * system (no fsync: it survives the death of the process, not of the machine).
 *
 * One process per file. After a failed write the journal refuses everything until a restart, because
 * nobody knows how much of the batch arrived.
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

const READ_BYTES = 1 << 20
const LINE_BYTES_MAX = 1 << 20
const NEWLINE = 10

export interface Replay {
  readonly lines: number
  /** Bytes of a last line that a crash cut short; they were dropped, and nobody was told of it. */
  readonly tornBytes: number
}

export class Journal {
  readonly #file: FileHandle
  #waiting: string[] = []
  #flushing: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #failure: unknown

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /**
   * Opens or creates the file, hands every complete line to `onLine` and cuts a torn last line off,
   * so that the next append does not continue it.
   *
   * @throws when a line but the last is not readable: that is damage, not a crash.
   */
  static async open(
    path: string,
    onLine: (line: unknown) => void,
  ): Promise<{ journal: Journal; replay: Replay }> {
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND)
    try {
      const replay = await replayLines(file, path, onLine)
      return { journal: new Journal(file), replay }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** False once a write has failed. */
  get healthy(): boolean {
    return this.#failure === undefined
  }

  /** Writes one line; resolves when it is written, together with whatever else waited. */
  append(line: string): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#waiting.push(line)
    this.#next ??= this.#flushing.then(() => this.#flush())
    return this.#next
  }

  /** Resolves when everything appended so far is written: for answers that tell of others' changes. */
  written(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return this.#next ?? this.#flushing
  }

  /** Writes what waits and closes the file. */
  async close(): Promise<void> {
    await this.written().catch(() => undefined)
    await this.#file.close()
  }

  #flush(): Promise<void> {
    const batch = this.#waiting
    this.#waiting = []
    this.#next = undefined
    this.#flushing = this.#write(`${batch.join('\n')}\n`)
    return this.#flushing
  }

  async #write(text: string): Promise<void> {
    try {
      await this.#file.appendFile(text)
    } catch (error) {
      this.#failure = error
      throw error
    }
  }
}

async function replayLines(
  file: FileHandle,
  path: string,
  onLine: (line: unknown) => void,
): Promise<Replay> {
  const buffer = Buffer.alloc(READ_BYTES)
  let rest = Buffer.alloc(0)
  let goodBytes = 0
  let lines = 0
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES, goodBytes + rest.length)
    if (bytesRead === 0) break
    const chunk = Buffer.concat([rest, buffer.subarray(0, bytesRead)])
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      lines += 1
      readLine(chunk.toString('utf8', start, end), lines, path, onLine)
      start = end + 1
    }
    goodBytes += start
    rest = chunk.subarray(start)
    if (rest.length > LINE_BYTES_MAX) throw new Error(`${path}: line ${lines + 1} is too long`)
  }
  if (rest.length > 0) await file.truncate(goodBytes)
  return { lines, tornBytes: rest.length }
}

function readLine(text: string, number: number, path: string, onLine: (line: unknown) => void) {
  try {
    onLine(JSON.parse(text))
  } catch (cause) {
    throw new Error(`${path}: line ${number} is not an entry of a carrier book`, { cause })
  }
}
