-- The same in the database of every process. Numbers from 0901 on are those of platform/migrations.
--
--   tool_call    one row for every tool call, resource read and prompt that was served or refused
--                behind a valid token. Arguments are redacted. Rows are appended in batches, by the
--                process that served the call, and deleted after TOOL_CALL_DAYS.
--   spent_token  ids of access tokens that a write has used: such a token works once. A row is of no
--                use after its expiry, when the token itself is refused.

create table tool_call (
  id           bigint generated always as identity primary key,
  called_at    timestamptz not null,
  kind         text not null check (kind in ('tool', 'resource', 'prompt')),
  name         text not null,
  via          text not null check (via in ('mcp', 'facade')),
  client_id    text not null,
  order_id     uuid,
  arguments    jsonb not null,
  outcome      text not null
    check (outcome in ('ok', 'invalid', 'denied', 'missing', 'rejected', 'unavailable', 'internal')),
  code         text,
  duration_ms  int not null check (duration_ms >= 0),
  trace_id     text not null
);
create index tool_call_order on tool_call (order_id, called_at) where order_id is not null;
create index tool_call_time on tool_call (called_at);
create index tool_call_failed on tool_call (called_at) where outcome <> 'ok';

create table spent_token (
  jti         text primary key,
  expires_at  timestamptz not null
);
create index spent_token_expiry on spent_token (expires_at);
