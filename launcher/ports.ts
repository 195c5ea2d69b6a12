/** The port of every process, and the check that nobody else has it. */
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { LauncherError } from './launcher-error.ts'

/** PORT_OFFSET is added to each. */
export const basePorts = {
  orchestrator: 8080,
  order: 3000,
  inventory: 3001,
  fulfillment: 3002,
  'claude-standin': 4010,
  'carrier-standin': 4020,
  postgres: 5499,
} as const

export interface NamedPort {
  readonly name: string
  readonly port: number
}

const connectTimeoutMs = 1_000
const lookAgainMs = 100

/**
 * Passes when nobody listens on any of the ports; looks again for `patienceMs`, because the port of a
 * process that was just ended may be free a moment later only.
 *
 * @throws LauncherError `port_busy` naming every busy port at once.
 */
export async function assertPortsFree(ports: readonly NamedPort[], patienceMs = 0): Promise<void> {
  const until = Date.now() + patienceMs
  for (;;) {
    const busy = await busyPorts(ports)
    if (busy.length === 0) return
    if (Date.now() >= until) throw portBusy(busy)
    await delay(lookAgainMs)
  }
}

async function busyPorts(ports: readonly NamedPort[]): Promise<NamedPort[]> {
  const checked = await Promise.all(
    ports.map(async (named) => ({ named, busy: await isBusy(named.port) })),
  )
  return checked.filter(({ busy }) => busy).map(({ named }) => named)
}

function portBusy(busy: readonly NamedPort[]): LauncherError {
  const list = busy.map(({ name, port }) => `${port} (${name})`).join(', ')
  return new LauncherError(
    'port_busy',
    `Another program listens on port ${list}. Stop it, or move all of Baton's ports: ` +
      'PORT_OFFSET=10000 npm start',
  )
}

/**
 * Listening alone is not enough: macOS lets us listen on 127.0.0.1 beside a program on all
 * addresses, and `localhost` in a browser may mean ::1.
 */
async function isBusy(port: number): Promise<boolean> {
  const answers = await Promise.all([accepts('127.0.0.1', port), accepts('::1', port)])
  return answers.includes(true) || !(await canListen(port))
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectTimeoutMs })
    const answer = (value: boolean) => {
      socket.destroy()
      resolve(value)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}
