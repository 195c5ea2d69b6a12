/**
 * The platform as `npm start` runs it, each of its MCP servers behind a proxy that brings a token.
 * Tokens are signed by an issuer of ours, which the services are told to trust.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { startPlatform } from '../../launcher/platform.ts'
import { testIssuer } from '../support/test-issuer.ts'
import { startBearerProxy } from './bearer-proxy.ts'

export const serverNames = ['order', 'inventory', 'fulfillment', 'orchestrator'] as const
export type ServerName = (typeof serverNames)[number]

export interface RunningServer {
  /** Base URL of the server itself. */
  readonly url: string
  /** Base URL of the proxy before it, which brings a token. */
  readonly proxyUrl: string
  /** A token with every scope that the server names. */
  token(): Promise<string>
}

export interface FourServers extends AsyncDisposable {
  /** Those without `/mcp` are absent. */
  readonly servers: ReadonlyMap<ServerName, RunningServer>
}

const portOffset = 23_500
const askMs = 5_000
const metadata = z.object({ resource: z.string(), scopes_supported: z.array(z.string()) })

/** An abort of `signal` ends a start that is under way. */
export async function startFourServers(signal: AbortSignal): Promise<FourServers> {
  await using undo = new AsyncDisposableStack()
  const issuer = undo.use(await testIssuer())
  const dataDir = await mkdtemp(join(tmpdir(), 'baton-conformance-'))
  undo.defer(() => rm(dataDir, { recursive: true, force: true }))
  // Postgres runs as another user where we are root, and must reach its files.
  await chmod(dataDir, 0o755)
  const trustUs = { ISSUER_URL: issuer.url }
  const platform = await startPlatform({
    dataDir,
    portOffset,
    claude: { mode: 'standin' },
    logLevel: 'warn',
    signal,
    env: { order: trustUs, inventory: trustUs, fulfillment: trustUs },
  })
  undo.defer(() => platform.stop())

  const servers = new Map<ServerName, RunningServer>()
  for (const name of serverNames) {
    const target = new URL(platform.urls[name])
    const described = await describeResource(target)
    if (described === undefined) continue
    const grant = {
      audience: described.resource,
      clientId: 'conformance',
      scope: described.scopes_supported.join(' '),
    }
    const token = () => issuer.sign(grant)
    // A fresh one for every request: the token of a write works once.
    const proxy = undo.use(await startBearerProxy(target, token))
    servers.set(name, { url: target.origin, proxyUrl: proxy.url, token })
  }
  const running = undo.move()
  return { servers, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** What the server says of itself (RFC 9728); undefined when it is no MCP server. */
async function describeResource(base: URL): Promise<z.output<typeof metadata> | undefined> {
  const url = new URL('/.well-known/oauth-protected-resource', base)
  const response = await fetch(url, { signal: AbortSignal.timeout(askMs) })
  return response.ok ? metadata.parse(await response.json()) : undefined
}
