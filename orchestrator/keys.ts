/** `npm run keys list | rotate`: the signing keys of the token issuer. */

import { readEncryptionKey } from './issuer.ts'
import { readKeys, rotateKeys } from './key-store.ts'
import { commandConfig, runCommand, UsageError } from './operator-command.ts'
import { keyConfig, keyTiming } from './token-config.ts'

const [command = 'list', ...rest] = process.argv.slice(2)

await runCommand(commandConfig.extend(keyConfig.shape), process.env, async (pool, config) => {
  if (!['list', 'rotate'].includes(command) || rest.length > 0) {
    throw new UsageError('Usage: npm run keys list | npm run keys rotate')
  }
  const encryptionKey = readEncryptionKey(config.KEY_ENCRYPTION_KEY)
  const said =
    command === 'list'
      ? []
      : [
          (await rotateKeys(pool, encryptionKey, keyTiming(config)))
            ? 'A new key is published. Nothing has to be restarted, and no request fails.'
            : 'A new key waits for its turn already: nothing changed.',
        ]
  const keys = await readKeys(pool)
  return [...said, ...keys.map(describeKey)].join('\n')
})

function describeKey({
  kid,
  signsInMs,
  hiddenInMs,
  ageDays,
}: Awaited<ReturnType<typeof readKeys>>[0]) {
  const state = signsInMs > 0 ? `signs in ${minutes(signsInMs)}` : 'signs, or has signed'
  const end = hiddenInMs === undefined ? 'newest' : `is hidden in ${minutes(hiddenInMs)}`
  return `${kid}  ${ageDays.toFixed(1)} days old  ${state}  ${end}`
}

function minutes(ms: number): string {
  return `${(ms / 60_000).toFixed(1)} min`
}
