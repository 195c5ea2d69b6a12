/** How a client proves who it is at the token endpoint: RFC 6749, 2.3.1, and RFC 7523, 2.2. */
import { assertedClient, verifyClientAssertion } from '../platform/client-assertions.ts'
import type { Db } from '../platform/db.ts'
import { checkNoSecret, findClient, type KnownClient } from './client-registry.ts'
import { OAuthRefusal } from './oauth-refusal.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export type Login =
  | { readonly kind: 'secret'; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'assertion'; readonly clientId: string; readonly assertion: string }

/**
 * Reads what the client sent; proves nothing.
 *
 * @throws OAuthRefusal `invalid_request` for two ways at once, `invalid_client` for none.
 */
export function readLogin(authorization: string | undefined, form: URLSearchParams): Login {
  const assertion = form.get('client_assertion')
  const secret = form.get('client_secret')
  const ways = [authorization, assertion ?? form.get('client_assertion_type'), secret]
  if (ways.filter((way) => way !== undefined && way !== null).length > 1) {
    throw new OAuthRefusal('invalid_request', 'Authenticate in one way only')
  }
  const named = form.get('client_id')
  const login =
    authorization === undefined ? readForm(form, assertion, secret) : readBasic(authorization)
  if (login === undefined) throw new OAuthRefusal('invalid_client', 'Authenticate the client')
  if (named !== null && named !== login.clientId) {
    throw new OAuthRefusal('invalid_request', 'client_id is another client')
  }
  return login
}

function readForm(
  form: URLSearchParams,
  assertion: string | null,
  secret: string | null,
): Login | undefined {
  if (assertion !== null && form.get('client_assertion_type') === assertionType) {
    const clientId = assertedClient(assertion)
    return clientId === undefined ? undefined : { kind: 'assertion', clientId, assertion }
  }
  const clientId = form.get('client_id')
  return secret === null || clientId === null ? undefined : { kind: 'secret', clientId, secret }
}

/** Both parts are form-encoded before they are joined. */
function readBasic(authorization: string): Login | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  if (id === undefined || secret === undefined) return undefined
  return { kind: 'secret', clientId: formDecode(id), secret: formDecode(secret) }
}

const formDecode = (text: string) =>
  new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? ''

/**
 * Checks the proof. An unknown client, a wrong secret and a wrong assertion get the same answer.
 *
 * @throws OAuthRefusal `invalid_client`.
 */
export async function proveClient(
  db: Db,
  login: Login,
  audiences: readonly string[],
): Promise<KnownClient> {
  const client = await findClient(db, login.clientId)
  const isProved =
    login.kind === 'secret'
      ? isSecretRight(client, login.secret)
      : await isAssertionRight(db, client, login.assertion, audiences)
  if (client === undefined || !isProved) {
    throw new OAuthRefusal('invalid_client', 'Unknown client, or not proved to be it')
  }
  return client
}

function isSecretRight(client: KnownClient | undefined, secret: string): boolean {
  if (client !== undefined) return client.secretIs(secret)
  checkNoSecret(secret)
  return false
}

async function isAssertionRight(
  db: Db,
  client: KnownClient | undefined,
  assertion: string,
  audiences: readonly string[],
): Promise<boolean> {
  if (client?.jwks === undefined) return false
  const { clientId, jwks } = client
  const proof = await verifyClientAssertion(assertion, { clientId, jwks, audiences }).catch(
    () => undefined,
  )
  return proof !== undefined && (await useOnce(db, clientId, proof))
}

/** True for the first that shows this assertion, whichever replica it asks. */
async function useOnce(
  db: Db,
  clientId: string,
  { jti, expiresAt }: { jti: string; expiresAt: number },
): Promise<boolean> {
  const used = await db.query(
    `insert into client_assertion (client_id, jti, expires_at)
     values ($1, $2, to_timestamp($3)) on conflict do nothing`,
    [clientId, jti, expiresAt],
  )
  return used.rowCount === 1
}

const forgottenAtOnceMax = 10_000

/** Forgets assertions that are refused for their age by now. */
export async function forgetAssertions(db: Db): Promise<void> {
  await db.query(
    `delete from client_assertion
      where (client_id, jti) in (select client_id, jti from client_assertion
                                  where expires_at < now() limit ${forgottenAtOnceMax})`,
  )
}
