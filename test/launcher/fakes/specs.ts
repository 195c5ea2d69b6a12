/** Two processes that stand for the platform's own. */
import { fileURLToPath } from 'node:url'
import type { ProcessSpec } from '../../../launcher/process-specs.ts'

const main = fileURLToPath(new URL('web.ts', import.meta.url))

export function fakeSpecs(portOffset: number): ProcessSpec[] {
  return [
    { name: 'red', main, port: 3000 + portOffset, env: () => ({}) },
    {
      name: 'blue',
      main,
      port: 3001 + portOffset,
      env: (setup) => ({
        DATABASE_URL: setup.databaseUrls.orders,
        KEY_ENCRYPTION_KEY_FILE: setup.keyEncryptionKeyFile,
      }),
    },
  ]
}
