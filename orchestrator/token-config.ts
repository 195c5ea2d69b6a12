/** What the orchestrator's token issuer reads from the environment. */
import { z } from 'zod'
import { clockSkewSeconds, lifetimeMaxSeconds } from '../platform/access-tokens.ts'
import { integer } from '../platform/config.ts'
import { jwksTiming } from '../platform/jwks-cache.ts'
import { trustedIssuers } from '../platform/trusted-issuers.ts'
import type { KeyTiming } from './key-ring.ts'
import { isOutsideScope } from './outside-scopes.ts'

/** What proxies may add to the age of our JWKS: the `max-age` that we give it. */
export const jwksMaxAgeSeconds = 60
const refreshSecondsMax = 60
/** Verifiers, a proxy before them and every replica may all be as late as they can be at once. */
const leadSecondsMin = jwksTiming.ageMax / 1_000 + jwksMaxAgeSeconds + refreshSecondsMax

export const keyConfig = z.object({
  KEY_ENCRYPTION_KEY: z.string().min(1),
  KEY_ROTATION_DAYS: integer(1, 3_650).default(30),
  /** How long a new key is published before it signs. */
  KEY_LEAD_SECONDS: integer(leadSecondsMin, 86_400).default(600),
  KEY_REFRESH_SECONDS: integer(1, refreshSecondsMax).default(30),
})

export const tokenConfig = keyConfig.extend({
  /** The operator's identity providers; theirs may be scopes for the outside only. */
  TRUSTED_ISSUERS: trustedIssuers
    .refine((issuers) => issuers.every(({ scopes }) => scopes.every(isOutsideScope)), {
      message: 'lists a scope that is for the orchestrator alone, or none of ours',
    })
    .default([]),
})

/** The timing of keys: an old one outlives its last token by a whole lead. */
export function keyTiming(config: z.output<typeof keyConfig>): KeyTiming {
  const lead = config.KEY_LEAD_SECONDS * 1_000
  return {
    lead,
    retain: lead + (lifetimeMaxSeconds + clockSkewSeconds) * 1_000,
    refresh: config.KEY_REFRESH_SECONDS * 1_000,
    rotateAfterDays: config.KEY_ROTATION_DAYS,
  }
}
