/**
 * The children of a launcher, on disk, so that the next launcher can end what a `kill -9` left.
 *
 * Every child leads its own process group: ending it ends what it started, too.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { identify, isRunning, type ProcessIdentity } from './process-identity.ts'

export interface ProcessRecord extends ProcessIdentity {
  readonly name: string
}

const pollMs = 50

/** The record file of one data dir. Written before anybody waits for the child. */
export class ProcessRecords {
  readonly #file: string
  #records: readonly ProcessRecord[] = []

  constructor(file: string) {
    this.#file = file
  }

  /** Remembers a child. One that has ended already is not recorded. */
  add(name: string, pid: number): void {
    const identity = identify(pid)
    if (identity !== undefined) this.#write([...this.#records, { name, ...identity }])
  }

  /** Forgets a child that has ended. Repeating it changes nothing. */
  remove(pid: number): void {
    this.#write(this.#records.filter((record) => record.pid !== pid))
  }

  #write(records: readonly ProcessRecord[]): void {
    this.#records = records
    if (records.length === 0) {
      rmSync(this.#file, { force: true })
      return
    }
    // Renaming is atomic: a reader sees the old list or the new one, never half of it.
    writeFileSync(`${this.#file}.new`, `${JSON.stringify(records, null, 2)}\n`, { mode: 0o600 })
    renameSync(`${this.#file}.new`, this.#file)
  }
}

/**
 * Ends the children that a killed launcher left behind: SIGTERM, then SIGKILL after `graceMs`.
 *
 * A pid that belongs to another process by now is left alone. Returns those it ended; repeating
 * it finds nothing.
 */
export async function endLeftovers(file: string, graceMs: number): Promise<ProcessRecord[]> {
  const leftovers = readRecords(file).filter(isRunning)
  for (const leftover of leftovers) signalGroup(leftover.pid, 'SIGTERM')
  await untilEnded(leftovers, graceMs)
  for (const leftover of leftovers.filter(isRunning)) signalGroup(leftover.pid, 'SIGKILL')
  await untilEnded(leftovers, graceMs)
  rmSync(file, { force: true })
  return leftovers
}

/** Sends a signal to a process group by its leader; silent when it has ended already. */
export function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function untilEnded(processes: readonly ProcessIdentity[], limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs
  while (processes.some(isRunning) && Date.now() < deadline) await delay(pollMs)
}

function readRecords(file: string): ProcessRecord[] {
  try {
    const records: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return Array.isArray(records) ? records.filter(isRecord) : []
  } catch {
    return [] // no file: nothing was left; an unreadable one names nobody we could trust
  }
}

function isRecord(value: unknown): value is ProcessRecord {
  const { name, pid, startedAt } = (value ?? {}) as Partial<ProcessRecord>
  // A group id of 0 or 1 would mean "my own group" or "everybody".
  return (
    typeof name === 'string' &&
    typeof startedAt === 'string' &&
    Number.isSafeInteger(pid) &&
    Number(pid) > 1
  )
}
