/**
 * The API key: Basic auth with the key as user name and no password, or a bearer token, as at
 * EasyPost. Any key with EasyPost's prefix for test keys is good; a production key is turned away,
 * because it must not travel to a stand-in.
 */
import type { FastifyRequest } from 'fastify'
import { CarrierError } from './errors.ts'

const TEST_KEY_PREFIX = 'EZTK'

/** @throws CarrierError 401 APIKEY.REQUIRED without a key, 401 APIKEY.INACTIVE for any other key. */
export async function requireTestKey(request: FastifyRequest): Promise<void> {
  const key = keyOf(request.headers.authorization ?? '')
  if (key === '') throw new CarrierError(401, 'APIKEY.REQUIRED', 'An API key is required.')
  if (!key.startsWith(TEST_KEY_PREFIX)) {
    throw new CarrierError(
      401,
      'APIKEY.INACTIVE',
      `This api key is not active. The carrier stand-in takes test keys only: ${TEST_KEY_PREFIX}...`,
    )
  }
}

function keyOf(authorization: string): string {
  const [scheme = '', value = ''] = authorization.split(' ')
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return ''
  return Buffer.from(value, 'base64').toString('utf8').split(':')[0] ?? ''
}
