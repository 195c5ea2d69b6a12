/** Passes requests on with an access token: the suite has no option for headers. */
import { once } from 'node:events'
import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface BearerProxy extends AsyncDisposable {
  /** Base URL. */
  readonly url: string
}

const idleMsMax = 60_000

/** On a free port of loopback, before `target`. `token` is asked for every request. */
export async function startBearerProxy(
  target: URL,
  token: () => Promise<string>,
): Promise<BearerProxy> {
  const server = createServer(async (request, response) => {
    const headers = { ...request.headers, authorization: `Bearer ${await token()}` }
    const { hostname, port } = target
    const onward = forward(
      { hostname, port, path: request.url, method: request.method, headers, timeout: idleMsMax },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    const fail = () => response.destroy()
    onward.on('error', fail).on('timeout', () => onward.destroy())
    // A client that leaves ends its stream at the server as well.
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
