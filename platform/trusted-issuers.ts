/**
 * TRUSTED_ISSUERS: identity providers of the operator, besides our own issuer.
 *
 * A token of theirs counts for the scopes that are listed for them and for nothing else, and its
 * client is named after the issuer, so that none of theirs can pass for one of ours.
 */
import { z } from 'zod'
import { ConfigError } from './config.ts'
import type { Tool } from './tool.ts'

const issuersMax = 10
const scopesMax = 50
const lifetimeSecondsMax = 86_400

const trustedIssuer = z.strictObject({
  /** Exactly as in the `iss` of its tokens. */
  issuer: z.url().max(500),
  jwksUri: z.url().max(500),
  scopes: z
    .array(z.string().regex(/^[a-z:]{1,64}$/))
    .min(1)
    .max(scopesMax),
  /** What its tokens carry as `aud`, where it cannot be told to write our resource URL there. */
  audience: z.string().min(1).max(500).optional(),
  lifetimeMaxSeconds: z.int().min(60).max(lifetimeSecondsMax).default(3_600),
})
export type TrustedIssuer = Readonly<z.output<typeof trustedIssuer>>

/**
 * What the names of its clients begin with. With the path: the realms of one Keycloak share a host and
 * trust each other with nothing.
 */
export function clientNamespaceOf(issuer: string): string {
  const { host = '', pathname = '' } = URL.parse(issuer) ?? {}
  return `${host}${pathname.replace(/\/+$/, '')}`
}

const example = '[{"issuer":"https://idp.example","jwksUri":"https://idp.example/keys",...}]'

/** A JSON array in an environment variable: `[{"issuer","jwksUri","scopes":[...]}]`. */
export const trustedIssuers = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      context.addIssue({ code: 'custom', message: `must be JSON like ${example}` })
      return z.NEVER
    }
  })
  .pipe(z.array(trustedIssuer).max(issuersMax))
  .refine(
    (issuers) =>
      new Set(issuers.map((one) => clientNamespaceOf(one.issuer))).size === issuers.length,
    { message: 'names an issuer twice, or two that differ in no host and no path' },
  )

/**
 * A tool that is bound to an order needs the `order_id` of a token of ours, which nobody else can
 * sign. A scope that opens only such tools is therefore a mistake in the configuration.
 *
 * @throws ConfigError naming every such scope.
 */
export function assertNoBoundScopes(
  issuers: readonly TrustedIssuer[],
  tools: readonly Tool[],
): void {
  const contracts = tools.map((tool) => tool.contract)
  const problems = issuers.flatMap(({ issuer, scopes }) =>
    scopes
      .filter((scope) => {
        const opened = contracts.filter((contract) => contract.scope === scope)
        return opened.length > 0 && opened.every((contract) => contract.bound === 'order')
      })
      .map((scope) => `TRUSTED_ISSUERS: ${scope} is for the orchestrator alone, not for ${issuer}`),
  )
  if (problems.length > 0) throw new ConfigError(problems)
}
