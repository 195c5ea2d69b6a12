import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { assertPortsFree } from '../../launcher/ports.ts'
import { freePort } from '../support/free-port.ts'

async function listenOn(host: string) {
  const server = createServer().listen(0, host)
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

describe('the check of the ports', () => {
  it('passes when all are free', async () => {
    await assertPortsFree([{ name: 'order', port: await freePort() }])
  })

  it('names every busy port, its process, and what to do', async () => {
    const [one, two] = [await listenOn('127.0.0.1'), await listenOn('127.0.0.1')]
    const free = await freePort()
    const ports = [
      { name: 'order', port: one.port },
      { name: 'carrier', port: free },
      { name: 'orchestrator', port: two.port },
    ]

    await assert.rejects(assertPortsFree(ports), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'port_busy')
      assert.match(error.message, new RegExp(`${one.port} \\(order\\)`))
      assert.match(error.message, new RegExp(`${two.port} \\(orchestrator\\)`))
      assert.match(error.message, /PORT_OFFSET/)
      assert.doesNotMatch(error.message, new RegExp(String(free)))
      return true
    })
    one.close()
    two.close()
  })

  it('sees a program on all addresses', async () => {
    const other = await listenOn('0.0.0.0')

    const check = assertPortsFree([{ name: 'order', port: other.port }])

    await assert.rejects(check, { code: 'port_busy' })
    other.close()
  })
})
