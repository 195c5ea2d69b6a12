/** A TCP port that nobody listens on just now. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Asks the system for a port on loopback and gives it back at once: use it right away. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
