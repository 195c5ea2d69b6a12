/** Secrets the launcher makes itself: random, in files only the owner can read, never logged. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** A password of 192 random bits that needs no escaping in a URL. */
export const randomPassword = (): string => randomBytes(24).toString('base64url')

/** A key of 256 random bits, as the orchestrator's KEY_ENCRYPTION_KEY wants it. */
export const randomKey = (): string => randomBytes(32).toString('base64')

/**
 * Returns the secret of a file, and makes the file (0600) when it is missing or empty.
 *
 * Repeating it returns the same secret.
 */
export function keepSecret(file: string, create: () => string): string {
  const known = readSecret(file)
  if (known !== '') {
    chmodSync(file, 0o600)
    return known
  }
  const secret = create()
  mkdirSync(dirname(file), { recursive: true })
  // Written beside and renamed: a crash leaves no empty or half secret behind.
  writeFileSync(`${file}.new`, `${secret}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return secret
}

/** The secret of a file; empty when there is none. */
export function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
