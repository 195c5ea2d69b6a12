-- The orchestrator's own tables. The durable engine keeps its tables in schema dbos beside them.
--
-- customer_order   one row an order: the intake (who asked, under which idempotency key, for what),
--                  and where it stands. Its `phase` is the pivot: one conditional update decides
--                  between going forward (open -> committed) and cancelling (open -> cancelling);
--                  whoever comes second finds no row. A finished round is `closed`.
-- order_event      what happened to an order, numbered per order; written under the order's row
--                  lock, so a reader that has seen number n has seen all before it. `event_key`
--                  makes a step that runs again after a crash write its event once.
-- signing_key      key pairs of the token issuer; private halves encrypted (JWE).
-- executor_lease   which processes are alive.
--
-- Lock order: customer_order, then order_event.

create table customer_order (
  order_id         uuid primary key,
  client_id        text not null,
  idempotency_key  text not null,
  body_hash        text not null,
  request          jsonb not null,
  label_key        uuid not null,
  trace_id         text not null,
  round            int not null default 1 check (round >= 1),
  phase            text not null default 'open'
                   check (phase in ('open', 'committed', 'cancelling', 'closed')),
  status           text not null default 'running'
                   check (status in ('running', 'fulfilled', 'rejected', 'backordered', 'held',
                                     'cancelled', 'stuck')),
  code             text,
  summary          jsonb,
  event_seq        int not null default 0,
  created_at       timestamptz not null default now(),
  finished_at      timestamptz,
  unique (client_id, idempotency_key),
  -- A round that ended has an outcome; `stuck` keeps its phase, because it can be resumed.
  check ((status = 'running') = (finished_at is null)),
  check (phase <> 'closed' or status <> 'running')
) with (fillfactor = 70);

create unique index customer_order_label_key on customer_order (label_key);
create index customer_order_newest on customer_order (created_at desc, order_id desc);
create index customer_order_of_client on customer_order (client_id, created_at desc, order_id desc);
create index customer_order_of_status on customer_order (status, created_at desc, order_id desc);
create index customer_order_running on customer_order (created_at) where status = 'running';

create table order_event (
  order_id   uuid not null, -- of a customer_order: written under its lock, so no foreign key
  seq        int not null,
  event_key  text not null,
  round      int not null,
  type       text not null,
  data       jsonb not null,
  at         timestamptz not null default now(),
  primary key (order_id, seq),
  unique (order_id, event_key)
);

create table signing_key (
  kid          text primary key,
  public_jwk   jsonb not null,
  private_jwe  text not null,
  created_at   timestamptz not null default now()
);

create table executor_lease (
  executor_id  text primary key,
  expires_at   timestamptz not null
);
