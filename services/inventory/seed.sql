-- Demo stock. Safe to repeat: a sku that exists keeps its numbers, its substitutes and its history.
with demo (sku, name, available, restock_date, request_id) as (
  values
    ('ABC123', 'Ceramic mug', 100, null::date, 'b5e9a1d0-0001-4000-8000-000000000001'::uuid),
    ('DEF456', 'Oak tray', 3, null, 'b5e9a1d0-0001-4000-8000-000000000002'),
    ('DEF457', 'Walnut tray', 20, null, 'b5e9a1d0-0001-4000-8000-000000000003'),
    ('GHI789', 'Linen napkin', 0, current_date + 56, 'b5e9a1d0-0001-4000-8000-000000000004'),
    ('JKL012', 'Brass candle holder', 0, null, 'b5e9a1d0-0001-4000-8000-000000000005'),
    ('MNO345', 'Stone table', 5, null, 'b5e9a1d0-0001-4000-8000-000000000006'),
    ('PQR678', 'Desk lamp', 20, null, 'b5e9a1d0-0001-4000-8000-000000000007')
),
added as (
  insert into stock (sku, name, available, adjusted, restock_date)
  select sku, name, available, available, restock_date from demo
  on conflict (sku) do nothing
  returning sku
),
adjustment as (
  insert into stock_adjustment
    (request_id, sku, quantity, available_after, reason, adjusted_by)
  select request_id, sku, available, available, 'Initial stock', 'seed'
  from demo join added using (sku)
)
insert into substitute (sku, substitute_sku, rank)
select sku, substitute_sku, rank
from (values ('DEF456', 'DEF457', 1)) as s (sku, substitute_sku, rank)
join added using (sku);
