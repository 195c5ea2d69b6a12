-- Stock, what changes it, and what is held for whom.
--
-- stock             One row per sku. Each unit is in one of three places: `available` (free to
--                   sell), `held` (kept for an order that is under way), `committed` (gone out with
--                   a parcel). `adjusted` is how many units were ever put in or taken out by hand.
-- stock_adjustment  Append-only: every change by hand, with who and why. Its sum is `adjusted`.
-- substitute        What may be offered instead of a sku, best rank first. Never done silently.
-- reservation       The header, one per (order_id, round), the effect key:
--
--                       (none) --reserve--> held --commit--> committed
--                          |                  |
--                          +-----release------+--> released
--
--                   A `released` header without lines is a tombstone: the undo came before its do,
--                   and a late reserve finds it and is refused. No state is ever left again.
-- reservation_line  What the header holds or held: one row per sku, never changed once written.
--
-- Guards, second to the code:
--   * units move between the three places and none appears or vanishes:
--     available + held + committed = adjusted, and none of them is negative;
--   * `adjusted` is the sum of the adjustments: checked at commit by two constraint triggers, one
--     for each side that could drift. They fire for adjustments, for new skus and for statements
--     that assign `adjusted`, so reserve, release and commit do not pay for them.
--
-- Lock order, the same in every transaction, so that none can deadlock: the reservation header
-- first, then stock rows in the order of their sku.

create table stock (
  sku text collate "C" primary key check (sku ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  name text not null check (name <> ''),
  available bigint not null default 0 check (available >= 0),
  held bigint not null default 0 check (held >= 0),
  committed bigint not null default 0 check (committed >= 0),
  adjusted bigint not null default 0,
  restock_date date,
  constraint stock_units_add_up check (available + held + committed = adjusted)
);

create table stock_adjustment (
  request_id uuid primary key,
  sku text collate "C" not null references stock,
  quantity bigint not null,
  available_after bigint not null check (available_after >= 0),
  reason text not null check (reason <> ''),
  adjusted_by text not null,
  adjusted_at timestamptz not null default now()
);

-- The sum of a sku, answered from the index alone.
create index stock_adjustment_sku on stock_adjustment (sku) include (quantity);

create table substitute (
  sku text collate "C" not null references stock,
  substitute_sku text collate "C" not null references stock,
  rank int not null check (rank >= 1),
  primary key (sku, rank),
  unique (sku, substitute_sku),
  check (sku <> substitute_sku)
);

create table reservation (
  order_id uuid not null,
  round int not null check (round >= 1),
  state text not null check (state in ('held', 'released', 'committed')),
  opened_at timestamptz not null default now(),
  changed_at timestamptz not null default now(),
  primary key (order_id, round)
);

create table reservation_line (
  order_id uuid not null,
  round int not null,
  sku text collate "C" not null references stock,
  quantity int not null check (quantity >= 1),
  primary key (order_id, round, sku),
  foreign key (order_id, round) references reservation
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;

create trigger stock_adjustment_append_only
  before update or delete or truncate on stock_adjustment
  for each statement execute function refuse_change();

create function check_stock_adjusted() returns trigger language plpgsql as $$
declare
  stored bigint := (select adjusted from stock where sku = new.sku);
  summed bigint := (select coalesce(sum(quantity), 0) from stock_adjustment where sku = new.sku);
begin
  if stored is distinct from summed then
    raise exception 'stock.adjusted of % is %, its adjustments add up to %', new.sku, stored, summed
      using errcode = 'check_violation', constraint = 'stock_adjusted_is_sum';
  end if;
  return null;
end $$;

create constraint trigger stock_adjusted_is_sum
  after insert or update of adjusted on stock
  deferrable initially deferred
  for each row execute function check_stock_adjusted();

create constraint trigger stock_adjusted_is_sum
  after insert on stock_adjustment
  deferrable initially deferred
  for each row execute function check_stock_adjusted();
