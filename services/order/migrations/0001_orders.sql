-- Orders: who orders what, at which price, to which address, and how it ended.
--
-- Tables. `product` and `customer` (with at most one default address) are the catalogue: orders read
-- them, operators change them. `sales_order` is the header of one round of an order, `order_line`
-- its lines. Names, prices, weights and the address are copied into the order when it is opened, so
-- a later change of the catalogue never changes what a customer was promised. `newest_round` shows
-- each order once, by the newest round that was opened.
--
-- Life cycle. A round is opened once and closed once: open -> fulfilled | rejected | backordered |
-- held | cancelled | stuck. The first outcome wins. The key (order_id, round) is the effect key of
-- both writes; `content_hash` tells a repeated open from another content under the same key.
-- Closing a round that was never opened leaves a header in a closed status without content
-- (opened_at is null) and without lines: the tombstone that refuses a late open.
--
-- Lock order. Both writes touch the header row of their round first; an open then adds lines, which
-- nobody else writes. One statement does each, so no transaction ever waits for a second lock.
--
-- Money is in integer US cents. Times are kept in milliseconds, because they go through JavaScript
-- and come back as cursors.

create table product (
  sku            text primary key check (sku ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  name           text    not null check (length(name) between 1 and 200),
  -- At most 1,000,000.00 USD: a whole order of 100 lines of 1,000 units stays a safe integer.
  price_cents    int     not null check (price_cents between 0 and 100000000),
  weight_grams   int     not null check (weight_grams > 0),
  discontinued   boolean not null default false,
  -- For the customs declaration: Harmonized System code and ISO 3166-1 alpha-2 country.
  hs_code        text    not null check (hs_code ~ '^[0-9]{4}(\.[0-9]{2}){0,3}$'),
  origin_country text    not null check (origin_country ~ '^[A-Z]{2}$')
);

create table customer (
  id             text primary key check (id ~ '^[A-Za-z0-9_-]{1,64}$'),
  name           text not null check (length(name) between 1 and 100),
  email          text not null check (length(email) between 3 and 200),
  status         text not null check (status in ('active', 'blocked')),
  customer_since date not null
);
-- Customers are found by name as people write it, whatever the capitals.
create index customer_name on customer (lower(name));
create unique index customer_email on customer (lower(email));

create table customer_address (
  customer_id text primary key references customer,
  name        text not null,
  street1     text not null,
  street2     text,
  city        text not null,
  region      text,
  postal_code text not null,
  country     text not null check (country ~ '^[A-Z]{2}$')
);

create table sales_order (
  order_id        uuid   not null,
  round           int    not null check (round between 1 and 1000),
  status          text   not null
    check (status in ('open', 'fulfilled', 'rejected', 'backordered', 'held', 'cancelled', 'stuck')),
  content_hash    text,
  customer_id     text references customer,
  customer_status text   check (customer_status in ('active', 'blocked')),
  total_cents     bigint not null default 0 check (total_cents between 0 and 9007199254740991),
  ship_to         jsonb,
  ship_by         date,
  note            text   check (length(note) <= 2000),
  note_suspicious boolean not null default false,
  findings        jsonb  not null default '[]',
  opened_at       timestamptz(3),
  closed_at       timestamptz(3),
  outcome_code    text   check (length(outcome_code) <= 64),
  outcome_reason  text   check (length(outcome_reason) <= 2000),
  primary key (order_id, round),
  check ((status = 'open') = (closed_at is null)),
  check ((opened_at is null) = (content_hash is null)),
  check (opened_at is not null or status <> 'open')
);
-- find_orders: newest first, all of them, with one status, or of one customer; the last one also
-- serves a customer's recent orders.
create index sales_order_opened on sales_order (opened_at desc, order_id desc);
create index sales_order_status on sales_order (status, opened_at desc, order_id desc);
create index sales_order_customer on sales_order (customer_id, opened_at desc, order_id desc);

create table order_line (
  order_id         uuid not null,
  round            int  not null,
  sku              text not null,
  -- As the customer wrote the order, from 1.
  position         int  not null check (position >= 1),
  name             text not null,
  quantity         int  not null check (quantity between 1 and 100000),
  unit_price_cents int  not null check (unit_price_cents >= 0),
  weight_grams     int  not null check (weight_grams > 0),
  hs_code          text not null,
  origin_country   text not null,
  primary key (order_id, round, sku),
  foreign key (order_id, round) references sales_order
);

create view newest_round as
select this.*
  from sales_order this
 where this.opened_at is not null
   and not exists (
     select 1
       from sales_order later
      where later.order_id = this.order_id
        and later.round > this.round
        and later.opened_at is not null
   );
