/**
 * A reverse proxy on one link: round robin over the replicas behind it, skipping one that refuses
 * the connection, and a place from which the harness sees a call before, during and after it.
 *
 * It knows HTTP and nothing of Baton; what a call means is told by `describe`.
 */
import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Backend {
  readonly name: string
  readonly port: number
}

export interface RawCall {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What a call is about; undefined parts are unknown. */
export interface Meaning {
  readonly step: string
  readonly orderId?: string | undefined
  readonly traceId?: string | undefined
}

export interface SeenCall extends Meaning {
  /** The replica that is about to serve it, or does. */
  backend: string
}

/** What the harness does to one call, at each of its moments. */
export interface Hooks {
  /** Not handed on yet. */
  before?: (call: SeenCall) => Promise<void>
  /** Handed on; `isAnswered` says whether the answer has come meanwhile. */
  during?: (call: SeenCall, isAnswered: () => boolean) => void
  /** The whole answer is here and nobody has heard it. */
  after?: (call: SeenCall) => Promise<void>
}

export interface CallProxy extends AsyncDisposable {
  readonly url: string
  /** Asked for every call that `describe` knows; one at a time may be set. */
  intercept: ((call: SeenCall) => Promise<Hooks | undefined> | Hooks | undefined) | undefined
}

const bodyBytesMax = 4 * 1024 * 1024

export async function startCallProxy(options: {
  readonly port?: number
  readonly backends: readonly Backend[]
  readonly describe?: (call: RawCall) => Meaning | undefined
  /** Asks each backend's /readyz all the time, and sends calls to those that say no last. */
  readonly watchReadiness?: boolean
  /** Sees the answer of every call that `describe` knows. */
  readonly learn?: (call: RawCall, answer: Buffer) => void
}): Promise<CallProxy> {
  const { backends, describe = () => undefined, learn } = options
  let next = 0
  const readiness = options.watchReadiness === true ? watchReadiness(backends) : undefined
  const server = createServer((incoming, outgoing) => {
    incoming.on('error', () => {})
    outgoing.on('error', () => {})
    serve(incoming, outgoing).catch(() => outgoing.destroy())
  })
  server.requestTimeout = 0
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const proxy: CallProxy = {
    url: `http://127.0.0.1:${port}`,
    intercept: undefined,
    [Symbol.asyncDispose]: async () => {
      readiness?.end()
      server.closeAllConnections()
      server.close()
    },
  }
  return proxy

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const call: RawCall = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: incoming.headers,
      body: await bodyOf(incoming),
    }
    const meaning = describe(call)
    const turn = [...backends.slice(next % backends.length), ...backends].slice(0, backends.length)
    const isReady = ({ name }: Backend) => readiness?.notReady.has(name) !== true
    const order = [...turn.filter(isReady), ...turn.filter((backend) => !isReady(backend))]
    next += 1
    const seen: SeenCall = { step: '', ...meaning, backend: order[0]?.name ?? '' }
    const hooks = meaning === undefined ? undefined : await proxy.intercept?.(seen)
    await hooks?.before?.(seen)
    const { answer, reply } = await handOn(call, order, seen, hooks, outgoing)
    if (answer === undefined) return
    learn?.(call, answer)
    await hooks?.after?.(seen)
    outgoing.writeHead(reply.statusCode ?? 502, reply.headers)
    outgoing.end(answer)
  }

  /** Streams the answer through, unless somebody wants to see all of it first. */
  async function handOn(
    call: RawCall,
    order: readonly Backend[],
    seen: SeenCall,
    hooks: Hooks | undefined,
    outgoing: ServerResponse,
  ): Promise<{ answer: Buffer | undefined; reply: IncomingMessage }> {
    let answered = false
    const reply = await firstThatListens(call, order, seen, outgoing, () =>
      hooks?.during?.(seen, () => answered),
    )
    answered = true
    const isWatched = hooks?.after !== undefined || (seen.step !== '' && learn !== undefined)
    if (isWatched) return { answer: await bodyOf(reply), reply }
    outgoing.writeHead(reply.statusCode ?? 502, reply.headers)
    reply.on('error', () => outgoing.destroy())
    reply.pipe(outgoing)
    return { answer: undefined, reply }
  }
}

const readinessPollMs = 50

/** As a load balancer does: who says that it is not ready gets no new calls. */
function watchReadiness(backends: readonly Backend[]) {
  const notReady = new Set<string>()
  const poll = setInterval(() => {
    for (const { name, port } of backends) {
      const request = httpRequest({ host: '127.0.0.1', port, path: '/readyz', agent: false })
      request.once('response', (response) => {
        response.resume()
        if (response.statusCode === 200) notReady.delete(name)
        else notReady.add(name)
      })
      request.once('error', () => notReady.add(name))
      request.end()
    }
  }, readinessPollMs)
  return { notReady, end: () => clearInterval(poll) }
}

async function firstThatListens(
  call: RawCall,
  order: readonly Backend[],
  seen: SeenCall,
  outgoing: ServerResponse,
  onSent: () => void,
): Promise<IncomingMessage> {
  for (const [i, backend] of order.entries()) {
    seen.backend = backend.name
    try {
      return await send(call, backend, outgoing, onSent)
    } catch (error) {
      const isRefused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
      if (!isRefused || i === order.length - 1) throw error
    }
  }
  throw new Error('There is no backend')
}

function send(
  { method, path, headers, body }: RawCall,
  { port }: Backend,
  outgoing: ServerResponse,
  onSent: () => void,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { connection: _hop, ...rest } = headers
    const out = httpRequest({ host: '127.0.0.1', port, method, path, headers: rest, agent: false })
    out.once('response', resolve).once('error', reject)
    // Whoever asked has gone: as a proxy does, hang up, unless the caller was killed on purpose
    // before: then `outgoing` is closed already and the call arrives late.
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) out.destroy(new Error('the caller has gone'))
    })
    out.end(body, onSent)
  })
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of message) {
    bytes += (chunk as Buffer).length
    if (bytes > bodyBytesMax) throw new Error('a body is too large')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
