/** `npm run clients add | list | remove`: who may ask the token endpoint for tokens. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { readClientJwks } from '../platform/client-assertions.ts'
import type { Pool } from '../platform/db.ts'
import { addClient, type Client, listClients, removeClient } from './client-registry.ts'
import { commandConfig, runCommand, UsageError } from './operator-command.ts'

const usage = `Usage: npm run clients -- add ID --scopes "orders:submit orders:read" [--jwks FILE]
       npm run clients list
       npm run clients remove ID`

await runCommand(commandConfig, process.env, async (pool) => {
  const { command, id, scopes, jwks } = readArguments(process.argv.slice(2))
  if (command === 'add' && id !== undefined && scopes !== undefined) {
    return add(pool, id, scopes.split(/[\s,]+/).filter(Boolean), jwks)
  }
  if (command === 'remove' && id !== undefined) {
    await removeClient(pool, id)
    return `Removed ${id}. A token that it holds lives for two more minutes at most.`
  }
  if (command !== 'list' || id !== undefined) throw new UsageError(usage)
  const clients = await listClients(pool)
  return clients.map(describeClient).join('\n') || 'There is no client yet.'
})

function readArguments(args: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { scopes: { type: 'string' }, jwks: { type: 'string' } },
    })
    const [command = 'list', id, ...rest] = positionals
    if (rest.length > 0) throw new UsageError(usage)
    return { command, id, ...values }
  } catch (error) {
    const why = error instanceof UsageError ? '' : `${(error as Error).message}\n`
    throw new UsageError(`${why}${usage}`)
  }
}

async function add(
  pool: Pool,
  id: string,
  scopes: readonly string[],
  jwksFile: string | undefined,
): Promise<string> {
  const jwks = jwksFile === undefined ? undefined : readClientJwks(readJson(jwksFile))
  const secret = await addClient(pool, id, scopes, jwks)
  if (secret === undefined) return `Added ${id}. It authenticates by private_key_jwt.`
  return `Added ${id}. Its secret, shown this once:
${secret}
A token of 120 seconds: curl -u ${id}:SECRET -d grant_type=client_credentials ISSUER_URL/oauth/token`
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`Cannot read ${file} as JSON: ${(error as Error).message}`)
  }
}

function describeClient({ clientId, scopes, jwks }: Client): string {
  return `${clientId}  ${jwks === undefined ? 'secret' : 'private_key_jwt'}  ${scopes.join(' ')}`
}
