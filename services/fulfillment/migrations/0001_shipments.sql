-- Shipments: one row for each round of an order, from the carrier's offers to the label and back.
--
-- Life cycle:
--
--     (no row) ──▶ proposed ──▶ buying ──▶ bought
--         │            │           │          │
--         └────────────┴───────────┴──────────┴──▶ voided      final: nothing is bought after it
--
-- proposed   what was asked (request), what was answered (answer), and the choice to buy, if any:
--            without carrier, service and price there is nothing to buy and no way to `buying`.
-- buying     somebody set out to buy. The row takes the carrier's shipment id once, by
--            compare-and-set, and only that id is ever bought, so a second buyer or a buyer after a
--            crash buys the same shipment; the carrier sells postage for a shipment once.
-- bought     the label: rate, tracking number, cost. The document is stored when it is first read.
-- voided     an undo. Without an answer it is a tombstone: the undo came before its `do`. A label
--            that was bought nevertheless stays on the row with its refund.
--
-- buys_under_way counts purchases whose outcome nobody has told yet, buy_until says how long the
-- last of them can take. An undo waits for them: one that landed after the undo looked would be
-- paid and never refunded.
--
-- Every change is one statement on one row, guarded by the state it starts from. No locks are held
-- while the carrier or a model is asked.
create table shipment (
  order_id uuid not null,
  round int not null check (round >= 1),
  state text not null check (state in ('proposed', 'buying', 'bought', 'voided')),

  request jsonb,
  weight_grams int check (weight_grams >= 0),
  answer jsonb,
  carrier text,
  service text,
  price_cents int check (price_cents >= 0),

  carrier_shipment_id text unique,
  buys_under_way int not null default 0 check (buys_under_way >= 0),
  buy_until timestamptz,

  carrier_rate_id text,
  tracking_number text,
  label_cost_cents int check (label_cost_cents >= 0),
  carrier_label_url text,
  label_document bytea,
  refund text not null default 'none'
    check (refund in ('none', 'requested', 'refunded', 'refused')),

  created_at timestamptz not null default now(),
  bought_at timestamptz,
  voided_at timestamptz,
  primary key (order_id, round),

  constraint answered_unless_tombstone check (
    num_nulls(request, weight_grams, answer) = 0
    or (num_nulls(request, weight_grams, answer) = 3 and state = 'voided')
  ),
  constraint choice_is_whole check (num_nulls(carrier, service, price_cents) in (0, 3)),
  constraint choice_belongs_to_answer check (carrier is null or answer is not null),
  constraint only_a_choice_is_bought check (
    state in ('proposed', 'voided') or carrier is not null
  ),
  constraint carrier_shipment_belongs_to_buying check (
    carrier_shipment_id is null or (state <> 'proposed' and carrier is not null)
  ),
  constraint buy_belongs_to_carrier_shipment check (
    (buys_under_way > 0) = (buy_until is not null)
    and (buys_under_way = 0 or carrier_shipment_id is not null)
  ),
  constraint label_is_whole check (
    num_nulls(carrier_rate_id, tracking_number, label_cost_cents, carrier_label_url, bought_at)
      in (0, 5)
  ),
  constraint label_belongs_to_bought check (
    case state
      when 'bought' then tracking_number is not null
      when 'voided' then true
      else tracking_number is null
    end
  ),
  constraint label_belongs_to_carrier_shipment check (
    tracking_number is null or carrier_shipment_id is not null
  ),
  constraint document_belongs_to_label check (
    label_document is null or tracking_number is not null
  ),
  constraint refund_belongs_to_voided_label check (
    refund = 'none' or (state = 'voided' and tracking_number is not null)
  ),
  constraint voided_has_a_time check ((state = 'voided') = (voided_at is not null))
);
