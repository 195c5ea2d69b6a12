/**
 * A TCP proxy that does harm: latency, a connection reset in the middle of an answer, a black hole, a
 * refused connection. It knows no protocol, so it stands before HTTP and Postgres alike.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Harm =
  | { readonly kind: 'none' }
  /** Each chunk arrives this much later, both ways; their order is kept. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Whatever is sent disappears: the peer sees a hang. */
  | { readonly kind: 'black_hole' }
  | { readonly kind: 'refused' }
  /** Both ends are reset once this many bytes have come back. */
  | { readonly kind: 'reset'; readonly afterBytes: number }

export interface FaultProxy extends AsyncDisposable {
  readonly port: number
  /** From now on, for open connections too. */
  harm(harm: Harm): void
}

interface Pair {
  readonly near: Socket
  readonly far: Socket
  bytesBack: number
}

/** Starts it on a free port of loopback, in front of another port there. */
export async function startFaultProxy(target: number): Promise<FaultProxy> {
  let harm: Harm = { kind: 'none' }
  const pairs = new Set<Pair>()
  const server = createServer((near) => {
    if (harm.kind === 'refused') return resetSocket(near)
    const far = connect(target, '127.0.0.1')
    const pair: Pair = { near, far, bytesBack: 0 }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.on('error', end).on('close', end)
    carry(near, far, () => true)
    carry(far, near, (bytes) => {
      pair.bytesBack += bytes
      if (harm.kind !== 'reset' || pair.bytesBack <= harm.afterBytes) return true
      reset(pair)
      return false
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  /** Passes chunks on as the harm of that moment says. */
  function carry(from: Socket, to: Socket, mayPass: (bytes: number) => boolean): void {
    let last = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      if (harm.kind === 'black_hole' || !mayPass(chunk.length)) return
      const waitMs = harm.kind === 'latency' ? harm.ms : 0
      const due = new Promise<void>((resolve) => setTimeout(resolve, waitMs))
      last = Promise.all([last, due]).then(() => {
        if (to.writable) to.write(chunk)
      })
    })
  }

  return {
    port: (server.address() as AddressInfo).port,
    harm: (next) => {
      harm = next
      // A server that refuses has dropped everybody, and a reset counts from now on.
      for (const pair of pairs) {
        if (next.kind === 'refused') reset(pair)
        pair.bytesBack = 0
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const pair of pairs) reset(pair)
      server.close()
    },
  }
}

function reset({ near, far }: Pair): void {
  for (const socket of [near, far]) resetSocket(socket)
}

/**
 * A socket that is being shut down cannot be reset: libuv refuses, Node then never closes the handle,
 * and the process spins for ever at its end (Node 24.21).
 */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded || socket.destroyed) socket.destroy()
  else socket.resetAndDestroy()
}
