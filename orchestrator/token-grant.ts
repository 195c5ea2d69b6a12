/** What a client gets for what it asked: rules of scope and resource, without I/O. */
import { OAuthRefusal } from './oauth-refusal.ts'
import { outsideScopesOf, type ResourceName } from './outside-scopes.ts'

/** The audience of each resource's tokens. */
export type ResourceUrls = Readonly<Record<ResourceName, string>>

/** Form parameters may come once only; a second one could be what somebody else checks. */
export function readForm(body: string): URLSearchParams {
  const form = new URLSearchParams(body)
  if (new Set(form.keys()).size !== form.size) {
    throw new OAuthRefusal('invalid_request', 'A parameter comes twice')
  }
  return form
}

/**
 * One token is for one resource, the orchestrator when none is named; without `scope` it carries all
 * that the client may do there.
 *
 * @throws OAuthRefusal `unsupported_grant_type`, `invalid_target`, `invalid_scope`.
 */
export function decideGrant(
  form: URLSearchParams,
  allowed: readonly string[],
  resources: ResourceUrls,
): { readonly audience: string; readonly scopes: readonly string[] } {
  const grantType = form.get('grant_type')
  if (grantType === null) throw new OAuthRefusal('invalid_request', 'grant_type is missing')
  if (grantType !== 'client_credentials') {
    throw new OAuthRefusal('unsupported_grant_type', 'Only client_credentials is supported')
  }
  const name = resourceNamed(form.get('resource'), resources)
  const here = outsideScopesOf(name).filter((scope) => allowed.includes(scope))
  const asked = [...new Set((form.get('scope') ?? '').split(' ').filter(Boolean))]
  const scopes = form.has('scope') ? asked : here
  if (scopes.length === 0 || !scopes.every((scope) => here.includes(scope))) {
    throw new OAuthRefusal('invalid_scope', 'This client has no such scope at that resource')
  }
  return { audience: resources[name], scopes }
}

function resourceNamed(resource: string | null, resources: ResourceUrls): ResourceName {
  if (resource === null) return 'orchestrator'
  // `new URL(...).href` of a base URL ends in a slash; both name the same.
  const wanted = resource.replace(/\/$/, '')
  const found = Object.entries(resources).find(([, url]) => url === wanted)
  if (found === undefined) throw new OAuthRefusal('invalid_target', 'No such resource')
  return found[0] as ResourceName
}
