/** The run's own Postgres, to be killed, paused and started again from outside. */
import { readFileSync } from 'node:fs'
import { dataPaths } from '../../launcher/data-dir.ts'
import { startEmbeddedPostgres } from '../../launcher/embedded-postgres.ts'
import type { Platform } from '../../launcher/platform.ts'

export interface PostgresServer {
  /** As the superuser; holds its password. */
  urlOf(database: string): string
  /** SIGKILL to the server and all of its backends: nobody gets to say goodbye. */
  kill(): void
  /** Crash recovery included; resolves once it lets clients in. */
  start(): Promise<void>
  /** SIGSTOP or SIGCONT to the server and all of its backends. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
}

export function postgresServer(platform: Platform, dataDir: string, port: number): PostgresServer {
  if (platform.postgres === undefined) throw new Error('The platform has no server of its own')
  const { adminUrl } = platform.postgres
  let { pid } = platform.postgres
  const all = () => [...childrenOf(pid), pid]
  const signalAll = (name: NodeJS.Signals) => {
    for (const one of all()) {
      try {
        process.kill(one, name)
      } catch {
        // A backend that has ended by itself.
      }
    }
  }
  return {
    urlOf: (database) => {
      const url = new URL(adminUrl)
      url.pathname = `/${database}`
      return url.href
    },
    kill: () => signalAll('SIGKILL'),
    start: async () => {
      const { postgres } = dataPaths(dataDir)
      const server = await startEmbeddedPostgres({ dataDir: postgres, port, durable: true })
      pid = server.pid
    },
    signal: signalAll,
  }
}

/** Linux tells the children of a process; elsewhere the server's own death must do. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
