-- The life of a signing key, and the clients that get tokens from us.
--
-- signing_key      published from its insert on; signs from `signs_from` until a newer one does; stays
--                  published until `published_until`, when no token that it signed can be alive. The
--                  newest key has no such end, and there is exactly one newest key. All times are of
--                  this database's clock, so replicas agree on them whatever their own clocks say.
-- oauth_client     who may ask for tokens, and for which scopes: with a secret, of which a salted hash
--                  is kept, or with keys, of which the public halves are kept.
-- client_assertion which assertions were used: each is good for one request.

alter table signing_key
  add column signs_from      timestamptz,
  add column published_until timestamptz;
update signing_key set signs_from = created_at;
alter table signing_key
  alter column signs_from set not null,
  alter column signs_from set default now(),
  add check (published_until > signs_from);
create unique index signing_key_newest on signing_key ((true)) where published_until is null;

create table oauth_client (
  client_id    text primary key
               check (client_id ~ '^[a-z0-9][a-z0-9._-]{0,63}$'
                      and client_id not in ('orchestrator', 'local')),
  scopes       text[] not null
               check (cardinality(scopes) between 1 and 50
                      and not scopes && array['order:write', 'order:validate', 'inventory:check',
                                              'inventory:reserve', 'fulfillment:propose',
                                              'fulfillment:label', 'fulfillment:void']),
  secret_salt  bytea check (octet_length(secret_salt) = 16),
  secret_hash  bytea check (octet_length(secret_hash) = 32),
  jwks         jsonb,
  created_at   timestamptz not null default now(),
  check (num_nonnulls(secret_salt, secret_hash) <> 1),
  check (num_nonnulls(secret_hash, jwks) = 1)
);

create table client_assertion (
  client_id   text not null references oauth_client on delete cascade,
  jti         text not null check (length(jti) <= 200),
  expires_at  timestamptz not null,
  primary key (client_id, jti)
);
create index client_assertion_expiry on client_assertion (expires_at);
